/* Software segmentation of TCP and UDP super-frames over IPv4, and software checksums, on spans of
 * bytes: for devices that lack the capability, and for who wants to see packets (impairments,
 * captures).
 *
 * Every segment repeats the super-frame's headers, with its own total length, an identification one
 * higher each (RFC 6864 4.1 allows any for atomic datagrams), sequence number (RFC 9293 3.4), FIN
 * and PSH on the last alone, CWR on the first alone (RFC 3168 6.1.2), UDP length, and checksums. */
#ifndef TG_GSO_H
#define TG_GSO_H

#include "base/csum.h"
#include "tapglass.h"

/* A super-frame. head: link, IPv4 and transport headers; the transport's checksum field holds the
 * (folded, not inverted) sum of the pseudo-header, with the super-frame's length. */
struct gso_super {
	const uint8_t *head;
	uint32_t head_bytes, ip_off, l4_off; /* offsets within head */
	uint32_t csum_offset;                /* of the checksum field within the transport header */
	const struct tg_span *body;
	uint32_t n_body, body_bytes;
	uint32_t gso_size; /* payload bytes a segment */
	uint8_t gso;       /* TG_GSO_TCP4 or TG_GSO_UDP4 */
};

/* Cuts [off, off + len) out of n spans; returns the number of spans written to out, which has room
 * for n. */
uint32_t span_cut(
	const struct tg_span *in, uint32_t n, uint32_t off, uint32_t len, struct tg_span *out);
/* sum + the partial checksum of n spans in a row, odd lengths anywhere. */
uint32_t span_csum(csum_fn *fn, const struct tg_span *in, uint32_t n, uint32_t sum);
/* Completes a transport header of l4_bytes at l4 in front of n spans: sums it all (the checksum
 * field holds the pseudo-header's sum) and stores the result in the field. */
void l4_finish_csum(csum_fn *fn, uint8_t *l4, uint32_t l4_bytes, uint32_t csum_offset,
	const struct tg_span *body, uint32_t n);

/* Number of segments, 1 and up. */
uint32_t gso_count(const struct gso_super *g);
/* Segment i: writes its head_bytes of headers to head and its payload's spans to out (room for
 * n_body). Its checksum field holds the sum of its own pseudo-header: l4_finish_csum, or the
 * device, completes it. Returns the number of spans. */
uint32_t gso_segment(const struct gso_super *g, uint32_t i, uint8_t *head, struct tg_span *out);

#endif
