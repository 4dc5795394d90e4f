#pragma once

namespace check_command {

inline constexpr const char* usage =
    R"(usage: check_command [OPTION…] -- COMMAND [ARGUMENT…]

Starts the tool, connects through it on every combination of address families that this machine
has, checks that it does what a tunnel must do, and stops it.

What the tool is
  --companion COMMAND     one word, with quotes as for a shell: the half that is started first; may be
                          given more than once. It is to listen at {inner.endpoint}, if that is used
  --config FILE           a template, rendered to {dir}/FILE; {config} is the first one's path
  --readable-by USER      who has to read these files: whom a tool started as root becomes
  --name NAME             in reports (default: the program's)
  --handshake HANDSHAKE   none (the default), socks5, socks4, http-connect; before it proxy-v1 or
                          proxy-v2, for a tool that expects a PROXY header: may be given twice
  --user USER, --password PASSWORD
                          for the handshake
  --offer-no-auth         SOCKS5: offers no authentication beside user and password
  --http-version VERSION  1.1 (the default) or 1.0
  --header 'NAME: VALUE'  HTTP: a further field; may be given more than once
  --by-name               asks for the server by name and not by address
  --server-header HEADER  what the tool sends to the server first: none (the default), proxy-v1,
                          proxy-v2
  --trait NAME=VALUE      what the tool does its own way; may be given more than once

What is checked
  --level LEVEL           hello, standard (the default) or strict
  --check PATTERN, --not-check PATTERN
                          only checks whose id matches, as 'data.*'; may be given more than once
  --pair PAIR             only this combination, as 4-6; may be given more than once;
                          skipped (77) where this machine lacks one
  --seed NUMBER           from which all data is made
  --idle SECONDS          how long the check idle is silent at strict (70)
  --network NETWORK       auto (the default), private or host
  --offset NUMBER         added to the first port that is tried; may be negative
  --timeout-scale NUMBER  multiplies all timeouts

What comes of it
  --json FILE, --html FILE, --junit FILE
                          reports for programs, for a browser, and in JUnit's XML for CI
  --keep                  leave the files of a tool that has failed where they are
  --verbose               log all details
  --list                  lists the checks
  --list-pairs            lists the combinations that this machine has
  --list-traits           lists what can be declared
  --help, --version

Placeholders in COMMAND, in companions and templates
  {listen.address} {listen.bracketed} {listen.port} {listen.endpoint} {listen.family}
                          where the tool shall listen: ::1, [::1], 6374, [::1]:6374, 6
  {target.…}              where it shall connect
  {source.…}              from where: the address, and a port that is free
  {client.…}              from where its client comes
  {inner.…}               where two halves can meet
  {config} {dir}          see --config
  All other braces stay as they are; {{word} is {word}.

Exit status: 0 passed, 1 failed, 2 wrong usage or set-up, 77 skipped: the tool is not installed, this
machine has no addresses, or no private network where one is asked for.
)";

} // namespace check_command
