# test_tunnel_add_test(NAME <name> TARGET <target>
#     [PROGRAM <program>] [PAIRS] [LEVEL hello|standard|strict] [ARGUMENTS <argument>...]
#     [LABELS <label>...] [TIMEOUT <seconds>])
#
# Registers <target>, an executable whose main is test_tunnel::catch2::main, as the test <name> of CTest.
#
# NAME       of the test.
# TARGET     an executable of this project.
# PROGRAM    the program under test: a target of this project, a path, from this directory where it is not
#            absolute, a generator expression, or a name, which is looked up now;
#            -D TEST_TUNNEL_PROGRAM_<program>=<path> says where it is instead. A name that is not found
#            makes a test that is skipped and says so, until CMake runs again and finds it.
#            Default: what the test itself looks up in PATH when it runs; it is skipped where that is not
#            found.
# PAIRS      makes a test for each combination of address families, <name>.4-4 to <name>.6-6, and not one
#            for all of them. One that the machine has no addresses for is skipped.
# LEVEL      how thoroughly it tests. Default: standard.
# ARGUMENTS  more for its command line: what Catch2 knows, and what test_tunnel::catch2::main adds.
# LABELS     for ctest -L.
# TIMEOUT    after which CTest kills the test. The library has deadlines of its own, and says what it was
#            waiting for: so the default is longer than all of them in a row. Where they are longer, with
#            --timeout-scale or a Config of the test's own, it has to be given.
#
# All of them may run at once (ctest -j), with other tests too: no port is used twice.
function(test_tunnel_add_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "PAIRS" "NAME;TARGET;PROGRAM;LEVEL;TIMEOUT" "ARGUMENTS;LABELS")
    set(where "test_tunnel_add_test(NAME ${arg_NAME} ...)")
    set(wrong ${arg_UNPARSED_ARGUMENTS} ${arg_KEYWORDS_MISSING_VALUES})
    if(wrong)
        list(JOIN wrong " " wrong)
        message(FATAL_ERROR "${where}: can't make sense of: ${wrong}; there are NAME, TARGET, "
            "PROGRAM, PAIRS, LEVEL, ARGUMENTS, LABELS and TIMEOUT, and all but PAIRS take a value")
    endif()
    if(NOT arg_NAME)
        message(FATAL_ERROR "test_tunnel_add_test: NAME is missing")
    endif()
    foreach(keyword IN ITEMS PROGRAM LEVEL TIMEOUT)
        # An empty variable must not make another test than was meant.
        if(keyword IN_LIST ARGN AND "${arg_${keyword}}" STREQUAL "")
            message(FATAL_ERROR "${where}: ${keyword} is empty")
        endif()
    endforeach()
    if(NOT TARGET "${arg_TARGET}")
        message(FATAL_ERROR "${where}: TARGET '${arg_TARGET}' is no target: add_executable comes first")
    endif()
    if(DEFINED arg_LEVEL AND NOT arg_LEVEL MATCHES "^(hello|standard|strict)$")
        message(FATAL_ERROR "${where}: LEVEL is hello, standard or strict, not '${arg_LEVEL}'")
    endif()
    if(DEFINED arg_TIMEOUT AND NOT arg_TIMEOUT MATCHES "^[1-9][0-9]*$")
        message(FATAL_ERROR "${where}: TIMEOUT takes whole seconds above 0, not '${arg_TIMEOUT}'")
    endif()

    set(command ${arg_TARGET})
    set(skip SKIP_RETURN_CODE 4) # Catch2's: all was skipped
    if(DEFINED arg_LEVEL)
        list(APPEND command --level ${arg_LEVEL})
    endif()
    if(TARGET "${arg_PROGRAM}")
        list(APPEND command --prog $<TARGET_FILE:${arg_PROGRAM}>)
    elseif(arg_PROGRAM MATCHES "\\$<")
        list(APPEND command --prog "${arg_PROGRAM}")
    elseif(arg_PROGRAM MATCHES "/")
        cmake_path(ABSOLUTE_PATH arg_PROGRAM)
        list(APPEND command --prog "${arg_PROGRAM}")
    elseif(DEFINED arg_PROGRAM)
        string(MAKE_C_IDENTIFIER "${arg_PROGRAM}" variable)
        set(variable TEST_TUNNEL_PROGRAM_${variable})
        find_program(${variable} "${arg_PROGRAM}" DOC "The program ${arg_PROGRAM}, to be tested")
        list(APPEND command --prog "${${variable}}")
        if(NOT ${variable})
            set(command ${CMAKE_COMMAND} -E echo
                "skipped: there is no ${arg_PROGRAM}: install it and run CMake again, or give it ${variable}")
            set(skip SKIP_REGULAR_EXPRESSION "^skipped: ")
        endif()
    endif()
    if(NOT skip MATCHES "REGULAR")
        list(APPEND command ${arg_ARGUMENTS})
    endif()

    set(names ${arg_NAME})
    set(pairs 4)
    if(arg_PAIRS)
        set(names ${arg_NAME}.4-4 ${arg_NAME}.4-6 ${arg_NAME}.6-4 ${arg_NAME}.6-6)
        set(pairs 1)
    endif()
    if(NOT DEFINED arg_TIMEOUT)
        # More checks than there are, for each of which the tool is started and stopped.
        set(checks 120)
        if(arg_LEVEL STREQUAL "hello")
            set(checks 3)
        endif()
        math(EXPR arg_TIMEOUT "${pairs} * ${checks} * 160")
    endif()
    foreach(name IN LISTS names)
        set(pair)
        if(arg_PAIRS AND name MATCHES "(.-.)$")
            set(pair --pair ${CMAKE_MATCH_1})
        endif()
        add_test(NAME ${name} COMMAND ${command} ${pair})
        set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} ${skip} LABELS "${arg_LABELS}")
    endforeach()
endfunction()
