"""Every rule of the project, so that flags and features are set in one place."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load("@system_libraries//:flags.bzl", "DEFINES", "LINKOPTS", "MISSING")

# A target may include only headers of the targets that it names in deps.
_FEATURES = ["layering_check"]

_COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wthread-safety",
] + select({
    # Any server of the last ten years. SHA-256 and CRC32C need no more: OpenSSL and ISA-L choose
    # their instructions at run time.
    "@platforms//cpu:x86_64": ["-march=x86-64-v2"],
    "//conditions:default": [],
})

# What tests open a hundred thousand times is optimized in their builds too: four times as fast.
_OPTIMIZED_PACKAGES = [
    "base",
    "storage",
    "storage/testing",
]

def slipstream_cc_library(name, copts = [], **kwargs):
    optimization = []
    if native.package_name() in _OPTIMIZED_PACKAGES:
        optimization = select({
            "//bazel:fastbuild": ["-O1"],
            "//conditions:default": [],
        })
    cc_library(name = name, copts = _COPTS + optimization + copts, features = _FEATURES, **kwargs)

def slipstream_cc_binary(name, copts = [], **kwargs):
    cc_binary(name = name, copts = _COPTS + copts, features = _FEATURES, **kwargs)

def slipstream_cc_test(name, size = "small", copts = [], deps = [], **kwargs):
    """A GoogleTest; main() and the gtest and gmock headers come with it."""
    cc_test(
        name = name,
        size = size,
        copts = _COPTS + copts,
        features = _FEATURES,
        deps = deps + ["//bazel/deps:gtest_main"],
        **kwargs
    )

def slipstream_cc_benchmark(name, copts = [], deps = [], tags = [], **kwargs):
    """A Google Benchmark; main() comes with it. Run it with `bazel run --config=opt`."""
    cc_binary(
        name = name,
        testonly = True,
        copts = _COPTS + copts,
        features = _FEATURES,
        tags = tags + ["benchmark"],
        deps = deps + [
            "//base/testing:benchmark_main",
            "//bazel/deps:benchmark",
        ],
        **kwargs
    )

def slipstream_cc_fuzz_test(
        name,
        corpus,
        size = "small",
        copts = [],
        deps = [],
        tags = [],
        **kwargs):
    """A fuzz target, that is a file with LLVMFuzzerTestOneInput.

    As a test it replays each file of the corpus. With --config=fuzz it is a libFuzzer binary:
    `bazel run` passes it what you write after `--`, `bazel test` fuzzes for some seconds.

    Args:
      corpus: seeds and past findings, usually glob(["testdata/NAME/**"]); not empty.
    """
    if not corpus:
        fail("%s: a fuzz target needs a corpus of at least one file" % name)
    cc_test(
        name = name,
        size = size,
        args = select({
            "//bazel/fuzz:libfuzzer": ["-max_total_time=10"],
            "//conditions:default": ["$(locations %s)" % file for file in corpus],
        }),
        copts = _COPTS + copts,
        data = corpus,
        features = _FEATURES,
        linkopts = select({
            "//bazel/fuzz:libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        tags = tags + ["fuzz"],
        deps = deps + select({
            "//bazel/fuzz:libfuzzer": [],
            "//conditions:default": ["//bazel/fuzz:replay_main"],
        }),
        **kwargs
    )

def slipstream_proto_library(name, src, deps = [], visibility = []):
    """Compiles proto/.../NAME.proto, whose imports are relative to proto/.

    Makes NAME_cc_proto (messages, "slipstream/v1/NAME.pb.h") and NAME_cc_grpc (stubs,
    "slipstream/v1/NAME.grpc.pb.h").

    Args:
      deps: the slipstream_proto_library targets of this package that src imports.
    """
    native.filegroup(
        name = name,
        srcs = [src] + deps,
        visibility = visibility,
    )
    outs = [name + suffix for suffix in [".pb.h", ".pb.cc", ".grpc.pb.h", ".grpc.pb.cc"]]
    native.genrule(
        name = name + "_codegen",
        srcs = [src, ":" + name],
        outs = outs,
        cmd = "protoc -Iproto --cpp_out=$(GENDIR)/proto --grpc_out=$(GENDIR)/proto" +
              " --plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) $(location %s)" % src,
    )

    # No _COPTS: what the generator writes is not ours to warn about.
    cc_library(
        name = name + "_cc_proto",
        srcs = [outs[1]],
        hdrs = [outs[0]],
        features = _FEATURES,
        strip_include_prefix = "/proto",
        visibility = visibility,
        deps = [dep + "_cc_proto" for dep in deps] + ["//bazel/deps:protobuf"],
    )
    cc_library(
        name = name + "_cc_grpc",
        srcs = [outs[3]],
        hdrs = [outs[2]],
        features = _FEATURES,
        strip_include_prefix = "/proto",
        visibility = visibility,
        deps = [
            ":%s_cc_proto" % name,
            "//bazel/deps:grpc",
        ],
    )

def slipstream_system_library(name, linkopts = [], **kwargs):
    """A library of the system's; system_libraries.bzl says which pkg-config modules it is."""
    hdrs = []
    if name in MISSING:
        # Whoever compiles against the library waits for this, and fails with what it says.
        hdrs = [name + "_is_missing"]
        native.genrule(
            name = hdrs[0],
            testonly = kwargs.get("testonly", False),
            outs = [name + "_is_missing.h"],
            cmd = "echo '%s is not installed: run tools/setup.sh' >&2; exit 1" % name,
            tags = ["manual"],
        )
    cc_library(
        name = name,
        hdrs = hdrs,
        defines = DEFINES.get(name, []),
        linkopts = linkopts + LINKOPTS.get(name, []),
        **kwargs
    )

def _own_archives_impl(ctx):
    archives = []
    for dep in ctx.attr.deps:
        for linker_input in dep[CcInfo].linking_context.linker_inputs.to_list():
            for library in linker_input.libraries:
                archives.append(library.pic_static_library or library.static_library)
    archives = [archive for archive in archives if archive]
    return [DefaultInfo(files = depset(archives), runfiles = ctx.runfiles(archives))]

# The static libraries of deps and of all that they link: ours, as the system's are linkopts.
own_archives = rule(
    implementation = _own_archives_impl,
    attrs = {"deps": attr.label_list(providers = [CcInfo])},
)
