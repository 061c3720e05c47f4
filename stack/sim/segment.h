/* Large frames cut into the packets that a wire carries: TCP and UDP over IPv4 (what TSO and USO
 * do in a device), each with complete checksums (RFC 1071), and partial transport checksums of
 * single packets completed. The impairing device and the captures use it, so that both see packets
 * and not super-frames. Pure functions over caller's memory. Left out: IPv6. */
#ifndef TG_SIM_SEGMENT_H
#define TG_SIM_SEGMENT_H

#include "base/csum.h"
#include "tapglass.h"
#include "wire/ip4.h"

/* Room for any packet: link header and an IP packet of 65,535 bytes. */
#define SEGMENT_MAX_BYTES 65568u

/* A frame being cut. Filled in by segment_begin; the frame has to stay until the last segment_next.
 */
struct segmenter {
	const struct tg_frame *f;
	csum_fn *sum;
	struct ip4_hdr ip;
	uint32_t ip_off,
		l4_off;      /* bytes from the start of the frame; l4_off 0: nothing to complete */
	uint32_t hdr_bytes;  /* copied to the front of each packet */
	uint32_t end;        /* of the IP packet; its header cannot say that of a big one */
	uint32_t seg_bytes;  /* payload bytes of a packet, the last may have fewer */
	uint32_t done_bytes; /* payload bytes given out */
	uint32_t index;      /* number of the next packet */
	uint32_t tcp_seq;    /* sequence number of the first */
	uint8_t tcp_flags;
	bool finished;
	bool opaque; /* not understood: passed on as it is */
};

/* Describes a received packet as a frame: f points into p, which has to stay. */
void segment_frame_of_pkt(struct tg_frame *f, enum tg_link link, const struct tg_pkt *p);
/* Describes bytes with the metadata of struct tg_pkt (gso: enum tg_gso, csum: enum tg_csum). */
void segment_frame_of_bytes(struct tg_frame *f, enum tg_link link, const void *data, uint32_t bytes,
	uint8_t gso, uint16_t gso_size, uint8_t csum);

/* Starts on frame f of the given link type. sum: the checksum function, NULL the portable one.
 * False: f asks for segmentation but is no whole TCP or UDP packet over IPv4; segment_next then
 * gives it unchanged, once. */
bool segment_begin(struct segmenter *g, enum tg_link link, const struct tg_frame *f, csum_fn *sum);
/* Bytes of the next packet, 0: there is none. */
uint32_t segment_next_bytes(const struct segmenter *g);
/* Writes the next packet, segment_next_bytes of them, to out and returns the number; 0: no more. */
uint32_t segment_next(struct segmenter *g, uint8_t *out);
/* Only the headers of the next packet, g->hdr_bytes of them, transport checksum zero. There has to
 * be one, and the frame to be understood (not opaque). Returns their number. */
uint32_t segment_next_headers(struct segmenter *g, uint8_t *out);
/* Passes over the next packet without writing it. */
void segment_skip(struct segmenter *g);

/* Copies n bytes of f from offset off to out. */
void segment_gather(const struct tg_frame *f, uint32_t off, uint32_t n, uint8_t *out);

#endif
