#pragma once

// From the machine's addresses to the combinations that a run goes through, in that order.
#include "discovery/addresses.hpp" // IWYU pragma: export
#include "discovery/pairs.hpp"     // IWYU pragma: export
#include "discovery/ports.hpp"     // IWYU pragma: export
