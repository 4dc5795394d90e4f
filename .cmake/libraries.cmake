# The targets for users, here and in projects that find the installed package.
#
# test_tunnel_add_library(<name> <headers> <include directory> [LINK <target>...] [SOURCES <source>...])
#
# Makes the target test_tunnel::<name> from <headers>, the target of its headers: a static library that
# is compiled once in a project, or an interface library where TEST_TUNNEL_HEADER_ONLY is set, or there
# are no sources. A target that is there already stays.
function(test_tunnel_add_library name headers_target include_dir)
    cmake_parse_arguments(PARSE_ARGV 3 arg "" "" "LINK;SOURCES")
    if(TARGET test_tunnel::${name})
        return()
    endif()
    set(target test_tunnel_${name})
    if(name STREQUAL "test_tunnel")
        set(target test_tunnel)
    endif()
    if(TEST_TUNNEL_HEADER_ONLY OR NOT arg_SOURCES)
        add_library(${target} INTERFACE)
        target_link_libraries(${target} INTERFACE ${headers_target} ${arg_LINK})
    else()
        list(TRANSFORM arg_SOURCES PREPEND ${include_dir}/test_tunnel/src/)
        add_library(${target} STATIC EXCLUDE_FROM_ALL ${arg_SOURCES})
        target_link_libraries(${target} PUBLIC ${headers_target} ${arg_LINK})
        target_compile_definitions(${target} PUBLIC TEST_TUNNEL_COMPILED)
    endif()
    add_library(test_tunnel::${name} ALIAS ${target})
endfunction()

# All of them; where the dependencies of one are missing, it is left out. <prefix> is that of the targets
# of headers, <include directory> is where test_tunnel/src is.
function(test_tunnel_add_libraries prefix include_dir)
    test_tunnel_add_library(test_tunnel ${prefix}headers ${include_dir}
        SOURCES system.cpp report.cpp run.cpp checks.cpp)
    if(TARGET ${prefix}catch2_headers)
        test_tunnel_add_library(catch2 ${prefix}catch2_headers ${include_dir}
            LINK test_tunnel SOURCES catch2.cpp)
    endif()
    if(TARGET ${prefix}tls_headers)
        test_tunnel_add_library(tls ${prefix}tls_headers ${include_dir} LINK test_tunnel)
    endif()
endfunction()
