// Ctrl-C: whoever sees the signal asks, executors poll between steps and throw Error(interrupted).
#pragma once

namespace maas {

// Cheap enough to poll once per kernel (one relaxed load).
bool interrupt_requested() noexcept;

// Safe in a signal handler and from any thread.
void request_interrupt() noexcept;

// Called by whoever turned the request into an error. Returns whether there was one.
bool clear_interrupt() noexcept;

}  // namespace maas
