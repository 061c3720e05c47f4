/* Coalescing in software what a device hands over packet by packet: consecutive segments of one TCP
 * flow become one packet with gso_size set, which TCP takes at the cost of one. The mirror image of
 * core/gso.h, and exactly that: a segment joins only if cutting the result again gives back every
 * byte of it but the checksum, which has been verified. So identification and sequence number count
 * up, the time stamp, window, ECN marks and all else are the same, all but the last segment have
 * the same size, and PSH is set on the last alone [9293 3.8.4 MUST-60 ff., 7323 4.3, 3168 5.3].
 *
 * Left out: IPv4 options, pure ACKs, segments with FIN, SYN, URG, ECE or CWR, and UDP, whose
 * senders do not expect their datagrams to wait. */
#ifndef TG_GRO_H
#define TG_GRO_H

#include "base/csum.h"
#include "tapglass.h"
#include "wire/eth.h"
#include "wire/ip4.h"
#include "wire/tcp_wire.h"

#define GRO_SEGS_MAX 64u

struct gro {
	csum_fn *sum;
	enum tg_link link;
	struct tg_pkt *p; /* the packet that grows, the caller's; NULL: none */
	/* What the next segment has to begin with, all headers; ours is the memory, the fields that
	 * differ are filled in when it is there. */
	uint8_t next[ETH_HDR_BYTES + IP4_HDR_BYTES + TCP_HDR_MAX_BYTES];
	uint32_t ip_off, l4_off, hdr_bytes;
	uint32_t src, dst;
	uint32_t seq; /* of the next one */
	uint16_t id;
	uint32_t text_bytes, seg_bytes, segs;
	bool psh;
};

void gro_init(struct gro *g, enum tg_link link, csum_fn *sum);
/* A frame has arrived and nothing is held. True: p is held now, segments may join; its checksum has
 * been verified. False: nothing can join it, p is as it was. */
bool gro_start(struct gro *g, struct tg_pkt *p);
/* Where the text of the next frame would go; *room: for so many bytes. */
uint8_t *gro_tail(const struct gro *g, uint32_t *room);
/* The next frame: g->hdr_bytes at hdr, then text_bytes at gro_tail. False: it does not join, and
 * what is held has to go first. True: it did. */
bool gro_join(struct gro *g, const uint8_t *hdr, uint32_t text_bytes, uint8_t csum);
/* Nothing can join any more. */
bool gro_is_full(const struct gro *g);
/* The packet, ready for tg_input; nothing is held any more. NULL: nothing was. */
struct tg_pkt *gro_take(struct gro *g);

#endif
