#include "storage/change_observer.h"

namespace slipstream::storage {

std::string ChangeObserver::Save(uint8_t) { return ""; }

bool ChangeObserver::Load(uint8_t, absl::string_view) { return false; }

uint64_t ChangeObserver::memory_bytes() const { return 0; }

}  // namespace slipstream::storage
