"""A repository that holds what pkg-config says about the system's libraries."""

# Target in //bazel/deps -> pkg-config modules. Abseil is cut as its include folders are.
_LIBRARIES = {
    "absl_base": ["absl_base", "absl_core_headers"],
    "absl_cleanup": ["absl_cleanup"],
    "absl_container": [
        "absl_btree",
        "absl_fixed_array",
        "absl_flat_hash_map",
        "absl_flat_hash_set",
        "absl_inlined_vector",
        "absl_node_hash_map",
        "absl_node_hash_set",
    ],
    "absl_functional": ["absl_any_invocable", "absl_bind_front", "absl_function_ref"],
    "absl_hash": ["absl_hash"],
    "absl_numeric": ["absl_bits", "absl_int128"],
    "absl_random": ["absl_random_distributions", "absl_random_random"],
    "absl_status": ["absl_status", "absl_statusor"],
    "absl_strings": ["absl_cord", "absl_str_format", "absl_strings"],
    "absl_synchronization": ["absl_synchronization"],
    "absl_time": ["absl_time"],
    "absl_types": ["absl_optional", "absl_span", "absl_variant"],
    "benchmark": ["benchmark"],
    "cli11": ["CLI11"],
    "grpc": ["grpc++", "protobuf"],
    "gtest": ["gmock"],
    "gtest_main": ["gmock_main"],
    "isal": ["libisal"],
    "lz4": ["liblz4"],
    "nlohmann_json": ["nlohmann_json"],
    "openssl": ["libcrypto"],
    "openssl_ssl": ["libssl"],
    "protobuf": ["protobuf"],
    "spdlog": ["spdlog"],
    "uring": ["liburing"],
    "zstd": ["libzstd"],
}

# What only tests/bench needs, to compare with: `tools/setup.sh --build-only` does not install it,
# so that nothing else needs it. Where it is missing, its target in //bazel/deps fails to build.
_OPTIONAL_LIBRARIES = {
    "lmdb": ["lmdb"],
    "tkrzw": ["tkrzw"],
}

# Likewise, where Debian's package tells pkg-config nothing: a header that shows it is there.
_OPTIONAL_HEADERS = {
    "leveldb": "/usr/include/leveldb/db.h",
}

def _is_installed(ctx, modules):
    return ctx.execute(["pkg-config", "--exists"] + modules).return_code == 0

def _pkg_config(ctx, flag, modules):
    result = ctx.execute(["pkg-config", flag] + modules)
    if result.return_code != 0:
        fail("pkg-config: %s\nRun tools/setup.sh, which installs what is missing." % result.stderr)
    return result.stdout.split(" ")

def _system_libraries_impl(ctx):
    linkopts = {}
    defines = {}
    missing = []
    libraries = dict(ctx.attr.libraries)
    for library, modules in ctx.attr.optional_libraries.items():
        if _is_installed(ctx, modules):
            libraries[library] = modules
        else:
            missing.append(library)
    for library, header in ctx.attr.optional_headers.items():
        if ctx.path(header).exists:
            linkopts[library] = ["-l" + library]
        else:
            missing.append(library)
    for library, modules in libraries.items():
        libs = [flag.strip() for flag in _pkg_config(ctx, "--libs", modules)]
        cflags = [flag.strip() for flag in _pkg_config(ctx, "--cflags-only-other", modules)]

        # The lists are generous (gRPC's names ninety libraries): link only what is used.
        linkopts[library] = (
            ["-Wl,--push-state,--as-needed"] + [flag for flag in libs if flag] + ["-Wl,--pop-state"]
        )
        defines[library] = [flag[len("-D"):] for flag in cflags if flag.startswith("-D")]
    ctx.file("BUILD.bazel", "")
    ctx.file(
        "flags.bzl",
        "LINKOPTS = %r\n\nDEFINES = %r\n\nMISSING = %r\n" % (linkopts, defines, missing),
    )

_system_libraries = repository_rule(
    implementation = _system_libraries_impl,
    attrs = {
        "libraries": attr.string_list_dict(mandatory = True),
        "optional_headers": attr.string_dict(mandatory = True),
        "optional_libraries": attr.string_list_dict(mandatory = True),
    },
    configure = True,
    local = True,
)

def system_libraries(name):
    _system_libraries(
        name = name,
        libraries = _LIBRARIES,
        optional_headers = _OPTIONAL_HEADERS,
        optional_libraries = _OPTIONAL_LIBRARIES,
    )
