#include "cli/inspect_file.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/coding.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "cli/inspect_run.h"
#include "cli/inspect_segment.h"
#include "cli/inspect_tables.h"
#include "cli/proof_file.h"
#include "cli/text.h"
#include "merkle/leaf.h"
#include "merkle/proof.h"
#include "storage/identity.h"
#include "storage/index_file.h"
#include "storage/manifest.h"
#include "storage/run_format.h"
#include "storage/segment.h"
#include "storage/snapshot_file.h"

namespace slipstream::cli {
namespace {

constexpr size_t kMagicBytes = 8;

struct KnownMagic {
  uint64_t magic = 0;
  FileKind kind = FileKind::kUnknown;
  absl::string_view name;
};
constexpr KnownMagic kKnownMagics[] = {
    {storage::kSegmentMagic, FileKind::kSegment, "segment"},
    {storage::kRunMagic, FileKind::kRun, "run"},
    {storage::kIndexMagic, FileKind::kIndex, "index"},
    {storage::kManifestMagic, FileKind::kManifest, "manifest"},
    {storage::kIdentityMagic, FileKind::kIdentity, "identity"},
    {storage::kSnapshotMagic, FileKind::kSnapshot, "snapshot"},
};

// `front`: the file's first bytes.
InspectReport ReportOnForeign(const InspectSource& source, absl::string_view front) {
  InspectReport report{.kind = "unknown", .file_bytes = source.size()};
  std::string what = front.empty()
                         ? "is empty"
                         : absl::StrCat("starts with the bytes ", absl::BytesToHexString(front));
  absl::StrAppend(&what, "; ours start with ");
  for (const KnownMagic& known : kKnownMagics) {
    char bytes[kMagicBytes];
    base::StoreLittle<uint64_t>(known.magic, bytes);
    absl::StrAppend(&what, absl::string_view(bytes, kMagicBytes), " (", known.name, "), ");
  }
  absl::StrAppend(&what, "{ (proof) or zeros (prepared segment, spare)");
  report.AddDamage(0, what);
  report.verdict = "is none of our files";
  return report;
}

std::string WordFor(merkle::Presence presence) {
  return presence == merkle::Presence::kPresent ? "present" : "absent";
}

// A proof that agrees with the root in it may still prove nothing: that root is the file's word.
absl::StatusOr<InspectReport> InspectProof(const InspectSource& source) {
  InspectReport report{.kind = "proof", .file_bytes = source.size()};
  if (source.size() > kProofFileBytesMax) {
    report.AddDamage(kProofFileBytesMax,
                     absl::StrCat("longer than ", FormatBytes(kProofFileBytesMax)));
    return report;
  }
  SLIP_ASSIGN_OR_RETURN(const std::string text, source.Read(0, source.size()));
  const absl::StatusOr<ProofFile> file = ParseProofFile(text);
  if (!file.ok()) {
    report.AddDamage(0, file.status().message());
    return report;
  }
  report.header = {{"key", InspectKey{file->key}},
                   {"root", base::ToHex(file->root)},
                   {"presence", WordFor(file->presence)},
                   {"sibling_count", uint64_t{file->proof.siblings.size()}}};
  if (file->proof.end.has_value()) {
    const merkle::Leaf& leaf = *file->proof.end;
    report.header.push_back({"end_key_id", absl::BytesToHexString(leaf.key_id.view())});
    report.header.push_back({"version", base::ToString(leaf.version)});
    report.header.push_back({"value_digest", absl::BytesToHexString(leaf.value_digest.view())});
    report.header.push_back({"expires_at_ms", leaf.expires_at_ms});
  }
  const absl::StatusOr<merkle::Presence> presence =
      merkle::VerifyProof(file->proof, base::KeyIdOf(file->key), file->root);
  if (!presence.ok()) {
    report.AddDamage(0, absl::StrCat("not proven: ", presence.status().message()));
  } else if (*presence != file->presence) {
    report.AddDamage(0, absl::StrCat("not proven: the file says ", WordFor(file->presence),
                                     ", its proof ", WordFor(*presence)));
  }
  return report;
}

// `place` is where the first other byte stands; the file's length if none does.
InspectReport ReportOnZeros(const InspectSource& source, uint64_t place) {
  InspectReport report{.kind = "prepared segment or spare", .file_bytes = source.size()};
  if (place != source.size()) report.AddDamage(place, "is not zero, as all before it is");
  return report;
}

absl::StatusOr<InspectReport> InspectAs(FileKind kind, absl::string_view front,
                                        const InspectSource& source,
                                        const InspectOptions& options) {
  switch (kind) {
    case FileKind::kIdentity:
      return InspectIdentity(source);
    case FileKind::kManifest:
      return InspectManifest(source, options);
    case FileKind::kIndex:
      return InspectIndex(source, options);
    case FileKind::kSnapshot:
      return InspectSnapshot(source, options);
    case FileKind::kSegment:
      return InspectSegment(source, options);
    case FileKind::kRun:
      return InspectRun(source, options);
    case FileKind::kProof:
      return InspectProof(source);
    case FileKind::kZeros: {
      SLIP_ASSIGN_OR_RETURN(const uint64_t place, FindNonZero(source, 0));
      return ReportOnZeros(source, place);
    }
    case FileKind::kUnknown:
      break;
  }
  return ReportOnForeign(source, front);
}

}  // namespace

FileKind KindOfBytes(absl::string_view front) {
  if (absl::StartsWith(front, "{")) return FileKind::kProof;
  if (front.size() < kMagicBytes) return FileKind::kUnknown;
  const uint64_t magic = base::LoadLittle<uint64_t>(front.data());
  if (magic == 0) return FileKind::kZeros;
  for (const KnownMagic& known : kKnownMagics) {
    if (known.magic == magic) return known.kind;
  }
  return FileKind::kUnknown;
}

FileKind KindOfName(absl::string_view name) {
  if (name == storage::kIdentityFileName) return FileKind::kIdentity;
  if (name == storage::kManifestFileName) return FileKind::kManifest;
  if (name == storage::kManifestSpareFileName) return FileKind::kZeros;
  if (name == storage::kIndexFileName) return FileKind::kIndex;
  if (name == storage::kSnapshotFileName) return FileKind::kSnapshot;
  if (storage::ParseSegmentFileName(name).has_value()) return FileKind::kSegment;
  if (storage::ParseRunFileName(name).has_value()) return FileKind::kRun;
  return FileKind::kUnknown;
}

absl::StatusOr<InspectReport> InspectFile(const InspectSource& source,
                                          const InspectOptions& options) {
  SLIP_ASSIGN_OR_RETURN(const std::string front,
                        source.Read(0, std::min<uint64_t>(source.size(), kMagicBytes)));
  FileKind kind = KindOfBytes(front);
  const FileKind named = KindOfName(options.name);
  if (kind == FileKind::kZeros && named == FileKind::kSegment) {
    // Prepared; unless frames follow: then zeros have replaced its header.
    SLIP_ASSIGN_OR_RETURN(const uint64_t place, FindNonZero(source, 0));
    if (place == source.size()) return ReportOnZeros(source, place);
    kind = named;
  } else if (named != FileKind::kUnknown &&
             (kind == FileKind::kUnknown || kind == FileKind::kZeros)) {
    kind = named;
  }
  SLIP_ASSIGN_OR_RETURN(InspectReport report, InspectAs(kind, front, source, options));
  const bool misnamed = named != FileKind::kUnknown && kind != named && kind != FileKind::kZeros;
  if (misnamed) report.AddDamage(0, "is another kind of file than its name says");
  return report;
}

}  // namespace slipstream::cli
