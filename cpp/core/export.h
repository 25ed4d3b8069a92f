#pragma once

// Everything in libmaas is hidden but what carries this mark: what the bindings, the CUDA library and user ops call.
#define MAAS_API __attribute__((visibility("default")))
