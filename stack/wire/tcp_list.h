/* TCP options as a list in the order of the wire (RFC 9293 3.2, RFC 7323 2 and 3, RFC 2018 2 and
 * 3): what packet scripts write and compare, where the order, the padding and malformed options
 * matter. The stack itself uses tcp_wire.h. Pure functions. */
#ifndef TG_WIRE_TCP_LIST_H
#define TG_WIRE_TCP_LIST_H

#include "wire/tcp_wire.h"

#define TCP_LIST_MAX 24u

#define TCP_KIND_EOL       0
#define TCP_KIND_NOP       1
#define TCP_KIND_MSS       2
#define TCP_KIND_WSCALE    3
#define TCP_KIND_SACK_PERM 4
#define TCP_KIND_SACK      5
#define TCP_KIND_TS        8

#define TCP_KIND_MD5      19
#define TCP_KIND_FASTOPEN 34
#define TCP_KIND_EXP      254

#define TCP_ITEM_VALUES 10u

/* One option. v: MSS; shift; TSval and TSecr; left and right edges of SACK blocks. Of a kind or a
 * length not known here n is 0 and v holds the bytes behind the length, four to a value, the first
 * on top. */
struct tcp_item {
	uint8_t kind;
	uint8_t len; /* as on the wire; 1 for EOL and NOP */
	uint8_t n;   /* values in v */
	uint32_t v[TCP_ITEM_VALUES];
};

/* Length on the wire of an option of this kind with n values; 0: not a kind known here. */
uint8_t tcp_item_bytes(uint8_t kind, uint32_t n);
/* Writes the options, zero padded to a multiple of 4; returns the bytes, 0 if they exceed 40. */
uint32_t tcp_list_emit(uint8_t out[TCP_OPTS_MAX_BYTES], const struct tcp_item *o, uint32_t n);
/* The options in n bytes, up to cap of them. What stands behind an EOL is not looked at. Returns
 * their number, or -1: a length of 0, 1 or past the end, or more than cap. */
int tcp_list_parse(const uint8_t *b, uint32_t n, struct tcp_item *out, uint32_t cap);
/* Writes a header for g with these finished option bytes (a multiple of 4, at most 40), the
 * checksum zero; returns the bytes. g->opts is not looked at. */
uint32_t tcp_emit_raw(uint8_t *b, const struct tcp_seg *g, const uint8_t *opts, uint32_t n);
/* Overwrites the data offset (in words) of an emitted header. */
void tcp_set_offset(uint8_t *b, uint8_t words);

#endif
