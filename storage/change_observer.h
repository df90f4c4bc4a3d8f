// ChangeObserver: who keeps state that is derived from the entries, and hears when they change.
#ifndef SLIPSTREAM_STORAGE_CHANGE_OBSERVER_H_
#define SLIPSTREAM_STORAGE_CHANGE_OBSERVER_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/key_id.h"

namespace slipstream::storage {

// Hears which keys changed, in order to bring derived state up to date later, and may have that
// state kept with the engine's checkpoints.
class ChangeObserver {
 public:
  virtual ~ChangeObserver() = default;

  // The entry of `key_id` changed. Called under the lock of its shard, from any thread: must be
  // short, must not block and must not call the engine. During Open, called for every key that Load
  // did not bring back as it is.
  virtual void OnChange(const base::KeyId& key_id) = 0;

  // Returns the state derived from the entries of `shard`, with which of it is out of date; empty
  // if it is not worth keeping. Called with no lock of the engine that OnChange is called under.
  virtual std::string Save(uint8_t shard);

  // Takes over what Save returned for `shard` in an earlier life; the entries are those of then,
  // but for the keys that OnChange names afterwards. Returns false if it cannot use it: then
  // OnChange names every key of the shard. Called within Open only.
  virtual bool Load(uint8_t shard, absl::string_view saved);

  // Memory of the derived state, which counts against Options::memory_limit_bytes.
  virtual uint64_t memory_bytes() const;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_CHANGE_OBSERVER_H_
