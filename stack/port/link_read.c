/* Reading a batch of frames from a TAP, and inputting it. Where nothing can follow, a frame is read
 * straight into a packet and input. Where something can (core/gro.h), the next frame's headers are
 * read beside and its text right behind the text that is held: what joins is never copied, what
 * does not is, once.
 */
#define _GNU_SOURCE
#include "core/core.h"
#include "port/host.h"
#include "port/tap_vnet.h"
#include "sim/segment.h"

/* Gathering goes on until so much text has come: of more, input takes longer than fetching. */
#define GATHERED_BYTES 65536u

void tap_link_input_end(struct tap_link *l)
{
	struct host_inst *inst = l->inst;
	unsigned netif = (unsigned)l->netif;

	if (l->n_gathered > 1) {
		tg_input_ahead(inst->s, netif, l->gathered, l->n_gathered);
		if (!inst->large)
			host_map_large(inst->mem, inst->mem_bytes);
		inst->large = true;
	}
	for (unsigned i = 0; i < l->n_gathered; i++)
		tg_input(inst->s, netif, l->gathered[i], l->h->now_ns);
	l->n_gathered = 0;
	l->gathered_bytes = 0;
}

void tap_link_input(struct tap_link *l, struct tg_pkt *p)
{
	/* what became of a frame has to be known when a capture sees the next; of the reserve there
	 * are few */
	bool alone = l->hub || p->flags & PKT_RESERVE;
	unsigned most = min_u32(alone ? 1 : tg_input_ahead_max(l->inst->s), HOST_GATHERED);

	l->gathered[l->n_gathered++] = p;
	l->gathered_bytes += p->len;
	if (l->n_gathered >= most || l->gathered_bytes >= GATHERED_BYTES)
		tap_link_input_end(l);
}

/* Takes p: a whole frame. */
static void input(struct tap_link *l, struct tg_pkt *p)
{
	struct tg_frame f;

	if (l->hub) {
		segment_frame_of_pkt(&f, TAP_LINK_TYPE, p);
		l->packet_id += tap_link_seen(l, HUB_BOTH, false, &f, l->packet_id);
		hub_merged(l->hub, pkt_frames(p));
	}
	tap_link_input(l, p);
}

/* Nothing can join what is held. */
static void join_end(struct tap_link *l)
{
	struct tg_pkt *p = gro_take(&l->gro);

	if (!p)
		return;
	if (p->merged) {
		l->tap.stats.merged_frames += p->merged;
		l->tap.stats.merged_into++;
	}
	input(l, p);
}

/* The first of what may become several. */
static void take_first(struct tap_link *l, struct tg_pkt *p)
{
	if (!l->merging || !gro_start(&l->gro, p))
		input(l, p);
}

static bool read_first(struct tap_link *l)
{
	struct tg_pkt *p = l->spare ? l->spare : tg_pkt_alloc(l->inst->s, TG_PKT_LARGE);
	struct tg_pkt meta;

	if (!p) { /* reading goes on all the same, or the loop would spin */
		if (!tap_read(&l->tap, l->scratch, HOST_LARGE_BYTES, &meta))
			return false;
		l->lost++;
		return true;
	}
	/* every batch ends with a read that finds nothing */
	l->spare = p;
	if (!tap_read(&l->tap, tg_pkt_block(p), TG_PKT_LARGE, p))
		return false;
	l->spare = NULL;
	take_first(l, p);
	return true;
}

/* A frame of n bytes that was read in pieces continues nothing: what was held goes first. */
static void part_ways(
	struct tap_link *l, const struct virtio_net_hdr *v, const struct iovec *piece, uint32_t n)
{
	struct tg_pkt *p = n <= TG_PKT_LARGE ? tg_pkt_alloc(l->inst->s, TG_PKT_LARGE) : NULL;
	uint32_t at = 0;

	for (; p && at < n; piece++) {
		uint32_t part = min_u32(n - at, (uint32_t)piece->iov_len);

		memcpy(tg_pkt_block(p) + at, piece->iov_base, part);
		at += part;
	}
	join_end(l);
	if (!p) {
		l->lost++;
		return;
	}
	tap_meta_of_vnet(p, v, tg_pkt_block(p), n);
	p->len = n;
	take_first(l, p);
}

static bool read_next(struct tap_link *l)
{
	struct gro *g = &l->gro;
	uint8_t hdr[sizeof(g->next)];
	struct virtio_net_hdr v;
	struct tg_pkt meta;
	uint32_t room, n;
	uint8_t *tail = gro_tail(g, &room);
	struct iovec iov[4] = {
		{0}, {hdr, g->hdr_bytes}, {tail, room}, {l->scratch, HOST_LARGE_BYTES}};

	n = tap_read_pieces(&l->tap, &v, iov, 3);
	if (!n)
		return false;
	tap_meta_of_vnet(&meta, &v, hdr, min_u32(n, g->hdr_bytes));
	if (v.gso_type != VIRTIO_NET_HDR_GSO_NONE || n <= g->hdr_bytes ||
		!gro_join(g, hdr, n - g->hdr_bytes, meta.csum))
		part_ways(l, &v, iov + 1, n);
	return true;
}

bool tap_link_read(struct tap_link *l)
{
	if (!l->gro.p)
		return read_first(l);
	if (!gro_is_full(&l->gro))
		return read_next(l);
	join_end(l);
	return read_first(l);
}

void tap_link_read_end(struct tap_link *l)
{
	join_end(l);
	tap_link_input_end(l);
}
