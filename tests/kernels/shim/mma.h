// In the place of the header of CUDA.
#include "emulator.h"
