/* A virtual wire between two instances of one host, in real time. */
#define _GNU_SOURCE
#include "port/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void observe(void *arg, unsigned end, bool from_end, const struct tg_frame *f, uint64_t tag,
	uint64_t now_ns)
{
	struct wire_link *l = arg;

	/* Without impairments, what one end sends is what the other gets. */
	if (l->hub[end])
		hub_seen(l->hub[end], l->impaired ? HUB_STACK : HUB_BOTH, from_end, f, tag + 1,
			now_ns);
	if (l->hub[!end] && l->impaired)
		hub_seen(l->hub[!end], HUB_LINK, !from_end, f, tag + 1, now_ns);
}

static void decided(
	void *arg, unsigned from_end, enum tg_impair_what what, uint64_t tag, uint64_t now_ns)
{
	struct wire_link *l = arg;

	for (unsigned e = 0; e < 2; e++)
		if (l->hub[e])
			hub_impaired(l->hub[e], what, tag + 1);
	host_note(l->inst[from_end], what, 1, l->netif[from_end], now_ns);
}

/* What happens to packets from a to b: a's own way out, then b's way in. */
static void join_impairments(
	struct tg_impair *to, const struct tg_impair *out, const struct tg_impair *in)
{
	*to = tg_impair_active(out) ? *out : *in;
	if (!tg_impair_active(out) || !tg_impair_active(in))
		return;
	/* Both: probabilities as of two devices in a row, delays add up, the narrower rate counts.
	 */
	to->drop_ppm += (uint32_t)((uint64_t)(1000000 - out->drop_ppm) * in->drop_ppm / 1000000);
	to->dup_ppm += (uint32_t)((uint64_t)(1000000 - out->dup_ppm) * in->dup_ppm / 1000000);
	to->reorder_ppm +=
		(uint32_t)((uint64_t)(1000000 - out->reorder_ppm) * in->reorder_ppm / 1000000);
	to->corrupt_ppm +=
		(uint32_t)((uint64_t)(1000000 - out->corrupt_ppm) * in->corrupt_ppm / 1000000);
	to->delay_ns += in->delay_ns;
	to->jitter_ns += in->jitter_ns;
	if (!to->rate_bps || (in->rate_bps && in->rate_bps < to->rate_bps)) {
		to->rate_bps = in->rate_bps;
		to->queue_pkts = in->queue_pkts;
	}
}

static int plug(struct wire_link *l, unsigned end, const struct tg_link_options *o)
{
	struct tg_netif_config c = {.mtu = o->mtu ? o->mtu : 1500, .announce = true};

	wire_netif_config(l->wire, end, &c);
	memcpy(c.mac, o->mac, sizeof(c.mac));
	for (unsigned n = 0;; n++) {
		snprintf(c.name, sizeof(c.name), "sim%u", n);
		l->netif[end] = tg_netif_add(l->inst[end]->s, &c, tg_host_now());
		if (l->netif[end] != -TG_EEXIST)
			break;
	}
	if (l->netif[end] < 0)
		return l->netif[end];
	memcpy(l->name[end], c.name, sizeof(l->name[end]) - 1);
	wire_attach(l->wire, end, l->inst[end]->s, (unsigned)l->netif[end]);
	return o->capture ? wire_link_capture(l, end, o->capture) : 0;
}

/* ---- Captures -------------------------------------------------------------------------------- */

static void tell_drops(struct wire_link *l, unsigned end)
{
	struct wire_stats in, out;

	if (!l->hub[end])
		return;
	wire_get_stats(l->wire, !end, &in);
	wire_get_stats(l->wire, end, &out);
	hub_drops(l->hub[end], in.impair.dropped + in.impair.queue_drops,
		out.impair.dropped + out.impair.queue_drops);
}

int wire_link_capture(struct wire_link *l, unsigned end, struct tg_capture *c)
{
	int result;

	if (!l->hub[end])
		l->hub[end] = hub_new(l->inst[end]->s, TG_LINK_ETHERNET, l->name[end], l->impaired);
	if (!l->hub[end])
		return -ENOMEM;
	tell_drops(l, end);
	result = hub_add(l->hub[end], c);
	wire_link_capture_end(l, end, NULL);
	return result;
}

void wire_link_capture_end(struct wire_link *l, unsigned end, const struct tg_capture *c)
{
	if (!l->hub[end])
		return;
	tell_drops(l, end);
	if (c)
		hub_remove(l->hub[end], c);
	if (hub_is_empty(l->hub[end])) {
		hub_free(l->hub[end]);
		l->hub[end] = NULL;
	}
}

void wire_link_free(struct wire_link *l)
{
	for (unsigned e = 0; e < 2; e++) {
		tell_drops(l, e);
		hub_free(l->hub[e]);
	}
	host_unmap(l->mem, WIRE_MEM_BYTES);
	free(l);
}

static int make_wire(
	struct wire_link *l, const struct tg_link_options *oa, const struct tg_link_options *ob)
{
	struct wire_config c;

	wire_config_default(&c);
	l->plain = oa->plain || ob->plain;
	if (l->plain)
		c.caps = 0;
	join_impairments(&c.impair[0], &oa->out, &ob->in);
	join_impairments(&c.impair[1], &ob->out, &oa->in);
	memcpy(c.seed, oa->impair_seed, sizeof(c.seed));
	l->impaired = tg_impair_active(&c.impair[0]) || tg_impair_active(&c.impair[1]);
	c.observe = observe;
	c.decided = decided;
	c.arg = l;
	l->mem = host_map(WIRE_MEM_BYTES);
	l->wire = l->mem ? wire_create(l->mem, WIRE_MEM_BYTES, &c) : NULL;
	return l->wire ? 0 : -ENOMEM;
}

int tg_host_wire(struct tg_host *h, struct tg *a, struct tg *b, const struct tg_link_options *oa,
	const struct tg_link_options *ob, int netif_out[2])
{
	struct wire_link *l = calloc(1, sizeof(*l));
	int result;

	if (!l)
		return -ENOMEM;
	l->h = h;
	l->inst[0] = host_find(h, a);
	l->inst[1] = host_find(h, b);
	result = l->inst[0] && l->inst[1] ? make_wire(l, oa, ob) : -EINVAL;
	if (result == 0) {
		wire_set_now(l->wire, tg_host_now());
		result = plug(l, 0, oa);
	}
	if (result == 0)
		result = plug(l, 1, ob);
	if (result < 0) {
		wire_link_free(l);
		return result;
	}
	netif_out[0] = l->netif[0];
	netif_out[1] = l->netif[1];
	*h->wires_end = l;
	h->wires_end = &l->next;
	return 0;
}
