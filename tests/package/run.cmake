# Builds and runs a consumer of the library in an empty directory, as a user would:
#
#   cmake -D HOW=… -D SOURCE=… -D BUILD=… -D WORK=… -D VERSION=… -P run.cmake
#
# HOW: add_subdirectory; after_fmt: the same after find_package(fmt); find_package: from BUILD,
# installed into a prefix; without_catch2: the same where there is no Catch2; pkg_config: the same by its
# file for pkg-config; by_hand: without a target of the library; or readme: the code and the CMake lines of
# README.md, FetchContent pointed to SOURCE;
# cpm: its line for CPM.cmake, which is the file CPM, pointed to SOURCE; bundled_fmt: add_subdirectory after
# an spdlog that is fetched with an fmt of its own. OPTIONS: more for CMake, a list. With ".headers" behind it: as headers only.

cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# The first block of README.md in a language, into a file.
function(extract language file)
    file(READ ${SOURCE}/README.md text)
    string(FIND "${text}" "```${language}\n" begin)
    if(begin EQUAL -1)
        message(FATAL_ERROR "README.md has no block of ${language}")
    endif()
    string(SUBSTRING "${text}" ${begin} -1 text)
    string(FIND "${text}" "\n" begin)
    string(FIND "${text}" "\n```" end)
    math(EXPR length "${end} - ${begin}")
    string(SUBSTRING "${text}" ${begin} ${length} text)
    file(WRITE ${file} "${text}\n")
endfunction()

set(options ${OPTIONS})
if(HOW MATCHES "(.*)\\.headers$")
    set(HOW ${CMAKE_MATCH_1})
    list(APPEND options -D TEST_TUNNEL_HEADER_ONLY=ON)
endif()
set(project ${SOURCE}/tests/package/consumer)
if(HOW MATCHES "^(find_package|without_catch2|pkg_config)$")
    run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
    # Moved: nothing in the package may point to where it was made.
    file(RENAME ${WORK}/prefix ${WORK}/moved)
    list(APPEND options -D CMAKE_PREFIX_PATH=${WORK}/moved -D EXPECTED_VERSION=${VERSION})
    if(HOW STREQUAL "without_catch2")
        list(APPEND options -D CMAKE_DISABLE_FIND_PACKAGE_Catch2=ON)
    endif()
elseif(HOW STREQUAL "readme")
    set(project ${WORK}/project)
    extract(cpp ${project}/my_test.cpp)
    extract(cmake ${project}/CMakeLists.txt)
    list(APPEND options -D FETCHCONTENT_SOURCE_DIR_TEST_TUNNEL=${SOURCE})
elseif(HOW STREQUAL "cpm")
    file(STRINGS ${SOURCE}/README.md line REGEX "^CPMAddPackage\\(.*\\)$")
    file(WRITE ${WORK}/cpm.cmake "${line}\n")
    list(APPEND options -D CPM=${CPM} -D CPM_LINE=${WORK}/cpm.cmake -D CPM_test_tunnel_SOURCE=${SOURCE})
else()
    list(APPEND options -D TEST_TUNNEL_SOURCE=${SOURCE})
endif()

run(${CMAKE_COMMAND} -S ${project} -B ${WORK}/build -G ${GENERATOR} -D HOW=${HOW} ${options})
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${CMAKE_CTEST_COMMAND} --test-dir ${WORK}/build --output-on-failure --no-tests=error -j 4
    --output-log ${WORK}/ctest.log)

# What test_tunnel_add_test has registered in the consumer: each test by its name and what came of it.
if(project MATCHES "consumer$" AND NOT HOW STREQUAL "without_catch2")
    file(READ ${WORK}/ctest.log log)
    foreach(test IN ITEMS target.4-4 target.4-6 target.6-4 target.6-6 path expression name default)
        if(NOT log MATCHES ": ${test} [.]+ +Passed")
            message(FATAL_ERROR "the test ${test} has not passed")
        endif()
    endforeach()
    foreach(test IN ITEMS missing missing_pairs.4-4 missing_pairs.6-6)
        if(NOT log MATCHES ": ${test} [.]+[*]+Skipped")
            message(FATAL_ERROR "the test ${test} is not skipped")
        endif()
    endforeach()

    # A mistake in a call is told, and what would be right.
    function(expect_refused call why)
        file(WRITE ${WORK}/wrong/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)\nproject(wrong NONE)\n"
            "include(\"${SOURCE}/.cmake/add_test.cmake\")\nadd_executable(tool IMPORTED)\n"
            "test_tunnel_add_test(${call})\n")
        execute_process(COMMAND ${CMAKE_COMMAND} -S ${WORK}/wrong -B ${WORK}/wrong/build
            RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE error)
        string(REGEX REPLACE "[ \n]+" " " error "${error}")
        string(FIND "${error}" "${why}" at)
        if(result EQUAL 0 OR at EQUAL -1)
            message(FATAL_ERROR "test_tunnel_add_test(${call}): not refused with \"${why}\" but: ${error}")
        endif()
    endfunction()
    expect_refused("TARGET tool" "NAME is missing")
    expect_refused("NAME a TARGET nothing" "TARGET 'nothing' is no target")
    expect_refused("NAME a TARGET tool LEVEL high" "LEVEL is hello, standard or strict, not 'high'")
    expect_refused("NAME a TARGET tool TIMEOUT long" "TIMEOUT takes whole seconds above 0, not 'long'")
    expect_refused("NAME a TARGET tool PROGRAM \"\"" "PROGRAM is empty")
    expect_refused("NAME a TARGET tool PROGRAMM socat" "can't make sense of: PROGRAMM socat")
endif()
