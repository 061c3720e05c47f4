/* What every fuzz target defines, and what fuzz_support.c gives it. A target is linked with
 * libFuzzer (clang), or with standalone_main.c (any compiler). */
#ifndef TG_FUZZ_H
#define TG_FUZZ_H

#include "base/base.h"

/* Runs one input. Returns 0; a broken promise ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small valid inputs in hex, blanks between bytes allowed, NULL at the end: where the standalone
 * main starts from. */
extern const char *const fuzz_seeds[];

/* A promise of the code under test. */
#define FUZZ_CHECK(e) ((e) ? (void)0 : tg_assert_fail(#e, __FILE__, __LINE__))

/* A copy in a block of exactly n bytes, for the sanitizer to guard; free() it. Never NULL. */
uint8_t *fuzz_copy(const uint8_t *data, size_t n);

#endif
