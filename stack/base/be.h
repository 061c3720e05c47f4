/* Big-endian loads and stores at any alignment. Used by wire/ alone: everything above it sees
 * host order (a style check looks for strays). */
#ifndef TG_BE_H
#define TG_BE_H

#include "base/base.h"

static inline uint16_t be16_load(const uint8_t *b)
{
	return (uint16_t)((unsigned)b[0] << 8 | b[1]);
}
static inline uint32_t be32_load(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static inline void be16_store(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}
static inline void be32_store(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

#endif
