/* See ip_world.h. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <sys/mman.h>

#include "ip_world.h"

#define MEM_BYTES (64u << 20)

const uint8_t iw_mac_us[6] = {2, 0, 0, 0, 0, 2};
const uint8_t iw_mac_peer[6] = {2, 0, 0, 0, 0, 1};
const uint8_t iw_mac_bcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static struct iw *world; /* of the test in progress: transports have no argument for it */

static bool dev_transmit(void *dev, const struct tg_frame *f)
{
	struct iw *w = dev;
	struct iw_frame *o = &w->out[w->n_out];
	uint32_t at = 0;

	if (!w->room)
		return false;
	w->room--;
	ck_assert_uint_lt(w->n_out, IW_FRAMES);
	*o = (struct iw_frame){malloc(f->bytes), f->bytes, f->gso_size, f->csum_start,
		f->csum_offset, f->csum_partial};
	for (uint32_t i = 0; i < f->n_spans; i++) {
		memcpy(o->b + at, f->span[i].base, f->span[i].len);
		at += f->span[i].len;
	}
	ck_assert_uint_eq(at, f->bytes);
	w->n_out++;
	return true;
}

static void tp_input(struct tg *s, struct tg_pkt *p, const struct ip_info *i)
{
	world->n_in++;
	world->info = *i;
	world->bytes = p->len;
	world->csum = p->csum;
	memcpy(world->data, p->data, p->len);
	pkt_deliver(s, p);
}

static bool tp_error(struct tg *s, const struct ip_error *e)
{
	(void)s;
	world->n_errors++;
	world->error = *e;
	return world->error_known;
}

static bool raw_hook(struct tg *s, const struct tg_pkt *p, const struct ip_info *i)
{
	(void)s;
	(void)i;
	ck_assert_ptr_nonnull(p->net);
	world->n_raw++;
	return world->raw_takes;
}

static enum tx_result turn(struct tg *s, struct sender *x, uint32_t budget)
{
	struct iw *w = container_of(x, struct iw, sender);
	struct tx t = w->tx;

	(void)budget;
	w->n_turns++;
	w->result = ip_output(s, &t, &w->flow);
	w->tx.error = t.error;
	w->tx.accepted = t.accepted;
	return w->result;
}

void iw_config(struct tg_config *c)
{
	tg_config_default(c);
	for (unsigned i = 0; i < sizeof(c->seed); i++)
		c->seed[i] = (uint8_t)(i + 1);
}

struct iw *iw_new(const struct tg_config *cfg, bool announce)
{
	static const struct transport tp = {
		.proto = IW_PROTO, .input = tp_input, .error = tp_error};
	struct iw *w = calloc(1, sizeof(*w));
	struct tg_netif_config nc = {.name = "tap0",
		.link = TG_LINK_ETHERNET,
		.mtu = 1500,
		.caps = TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4,
		.transmit = dev_transmit,
		.dev = w,
		.announce = announce};
	struct tg_ip us = tg_ip4_of(IW_US), gw = tg_ip4_of(IW_PEER), any = {{0}};
	struct tg_config c;
	void *mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	iw_config(&c);
	w->now_ns = 1000 * IW_SEC;
	w->room = IW_FRAMES;
	w->s = core_create(cfg ? cfg : &c, mem, MEM_BYTES, w->now_ns);
	ck_assert_ptr_nonnull(w->s);
	ck_assert_int_eq(ip_init(w->s), 0);
	memcpy(nc.mac, iw_mac_us, 6);
	w->netif = (unsigned)tg_netif_add(w->s, &nc, w->now_ns);
	ck_assert_int_eq(tg_addr_add(w->s, w->netif, &us, 24, w->now_ns), 0);
	ck_assert_int_eq(tg_route_add(w->s, &any, 0, &gw, w->netif, 10, w->now_ns), 0);
	ck_assert_int_eq(core_add_transport(w->s, &tp), 0);
	w->s->sender_fn[SENDER_RAW] = turn;
	w->s->raw_input = raw_hook;
	sender_init(&w->sender, SENDER_RAW);
	w->error_known = true;
	world = w;
	return w;
}

void iw_forget(struct iw *w)
{
	while (w->n_out)
		free(w->out[--w->n_out].b);
}

void iw_free(struct iw *w)
{
	const struct tg_counters *c = tg_counters(w->s);

	ck_assert_uint_eq(c->frames_in, c->frames_delivered + c->frames_dropped);
	iw_forget(w);
	munmap(w->s->arena, MEM_BYTES);
	free(w);
}

void iw_step(struct iw *w, uint64_t ns)
{
	uint64_t end = w->now_ns + ns;

	/* As an event loop would: at every deadline on the way. */
	for (unsigned i = 0; i < 100000 && tg_next_deadline(w->s) <= end; i++) {
		w->now_ns = max_u64(w->now_ns, tg_next_deadline(w->s));
		tg_step(w->s, w->now_ns);
	}
	w->now_ns = end;
	tg_step(w->s, w->now_ns);
}

void iw_frame_in(struct iw *w, const void *frame, uint32_t len)
{
	struct tg_pkt *p = tg_pkt_alloc(w->s, len);

	ck_assert_ptr_nonnull(p);
	memcpy(p->data, frame, len);
	p->len = len;
	tg_input(w->s, w->netif, p, w->now_ns);
}

void iw_eth_in(struct iw *w, const uint8_t *dst, uint16_t type, const void *body, uint32_t len)
{
	uint8_t *f = malloc(ETH_HDR_BYTES + len);

	eth_emit(f, dst ? dst : iw_mac_us, iw_mac_peer, type);
	memcpy(f + ETH_HDR_BYTES, body, len);
	iw_frame_in(w, f, ETH_HDR_BYTES + len);
	free(f);
}

void iw_ip_in(struct iw *w, const uint8_t *dst, struct ip4_hdr h, const void *body, uint32_t len)
{
	uint8_t *f;

	if (!h.hdr_bytes)
		h.hdr_bytes = IP4_HDR_BYTES;
	if (!h.total_bytes)
		h.total_bytes = (uint16_t)(h.hdr_bytes + len);
	if (!h.ttl)
		h.ttl = 64;
	f = malloc(h.hdr_bytes + len);
	ip4_emit(f, &h);
	if (len)
		memcpy(f + h.hdr_bytes, body, len);
	iw_eth_in(w, dst, ETH_TYPE_IP4, f, h.hdr_bytes + len);
	free(f);
}

void iw_arp_in(struct iw *w, unsigned op, const uint8_t sha[6], uint32_t spa, uint32_t tpa)
{
	struct arp_msg m = {.op = (uint16_t)op, .spa = spa, .tpa = tpa};
	uint8_t b[ARP_BYTES];

	memcpy(m.sha, sha, 6);
	if (op == ARP_REPLY)
		memcpy(m.tha, iw_mac_us, 6);
	arp_emit(b, &m);
	iw_eth_in(w, op == ARP_REPLY ? NULL : iw_mac_bcast, ETH_TYPE_ARP, b, sizeof(b));
}

void iw_learn(struct iw *w, uint32_t ip, const uint8_t mac[6])
{
	iw_arp_in(w, ARP_REPLY, mac, ip, IW_US);
	ck_assert_int_eq(iw_neigh(w, ip).state, TG_NEIGH_REACHABLE);
}

void iw_icmp_in(struct iw *w, const struct icmp_msg *m, struct ip4_hdr h)
{
	uint8_t *b = malloc(ICMP_HDR_BYTES + m->body_bytes + 1);

	if (m->body_bytes)
		memcpy(b + ICMP_HDR_BYTES, m->body, m->body_bytes);
	icmp_emit(b, m, csum_add_scalar(b + ICMP_HDR_BYTES, m->body_bytes, 0));
	h.proto = IP_PROTO_ICMP;
	if (!h.src)
		h.src = IW_PEER;
	if (!h.dst)
		h.dst = IW_US;
	iw_ip_in(w, NULL, h, b, ICMP_HDR_BYTES + m->body_bytes);
	free(b);
}

struct tg_arp_row iw_neigh(struct iw *w, uint32_t ip)
{
	struct tg_ip a = tg_ip4_of(ip);
	struct tg_arp_row r;
	uint64_t cursor = 0;

	while (tg_table_arp(w->s, &cursor, &r))
		if (ip_equal(&r.addr, &a))
			return r;
	return (struct tg_arp_row){.state = TG_NEIGH_FREE};
}

static bool is_type(const struct iw_frame *f, uint16_t type)
{
	struct eth_hdr h;

	return eth_parse(f->b, f->len, &h) == TG_DROP_NONE && h.type == type;
}

unsigned iw_count(const struct iw *w, uint16_t type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_out; i++)
		n += is_type(&w->out[i], type);
	return n;
}

static const struct iw_frame *nth(const struct iw *w, uint16_t type, unsigned n)
{
	for (unsigned i = 0; i < w->n_out; i++)
		if (is_type(&w->out[i], type) && n-- == 0)
			return &w->out[i];
	ck_abort_msg("no such frame was sent");
	return NULL;
}

struct arp_msg iw_arp_out(const struct iw *w, unsigned i)
{
	const struct iw_frame *f = nth(w, ETH_TYPE_ARP, i);
	struct arp_msg m;

	ck_assert_int_eq(arp_parse(f->b + ETH_HDR_BYTES, f->len - ETH_HDR_BYTES, &m), TG_DROP_NONE);
	return m;
}

struct ip4_hdr iw_ip_out(const struct iw *w, unsigned i, const uint8_t **body)
{
	const struct iw_frame *f = nth(w, ETH_TYPE_IP4, i);
	struct ip4_hdr h;

	ck_assert_int_eq(ip4_parse(f->b + ETH_HDR_BYTES, f->len - ETH_HDR_BYTES, &h), TG_DROP_NONE);
	ck_assert_uint_eq(h.total_bytes, f->len - ETH_HDR_BYTES);
	if (body)
		*body = f->b + ETH_HDR_BYTES + h.hdr_bytes;
	return h;
}

struct ip_flow iw_flow(uint32_t src, uint32_t dst)
{
	struct ip_flow f = {.dst = tg_ip4_of(dst), .proto = IW_PROTO, .ttl = 64, .df = true};

	if (src)
		f.src = tg_ip4_of(src);
	return f;
}

enum tx_result iw_send(struct iw *w, const struct ip_flow *f, const void *data, uint32_t len)
{
	w->flow = *f;
	tx_init(&w->tx);
	if (len)
		tx_add_body(&w->tx, data, len);
	sender_ready(w->s, &w->sender);
	tg_step(w->s, w->now_ns);
	return w->result;
}

uint64_t iw_drops(const struct iw *w, enum tg_drop d)
{
	return tg_counters(w->s)->drops[d];
}

uint64_t iw_discards(const struct iw *w, enum tg_drop d)
{
	return tg_counters(w->s)->discards[d];
}
