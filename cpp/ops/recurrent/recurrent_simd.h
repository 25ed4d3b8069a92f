#pragma once
#include "ops/recurrent/recurrent_backward.h"
#include "ops/recurrent/recurrent_forward.h"
