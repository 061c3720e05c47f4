/* Network interfaces: adding them, handing frames to their devices, the queue of control frames in
 * front of each, and the loopback interface, whose frames are received by the next step.
 *
 * Left out: what a device lacks, which gso.c does; Ethernet's minimum of 60 bytes (IEEE
 * 802.3 4.2.3.3), which is the affair of a device with a real wire. */
#include "core/core_impl.h"

static struct netif *netif_new(struct tg *s, const struct tg_netif_config *c)
{
	struct netif *n = &s->netif[s->n_netifs];

	n->c = *c;
	n->index = (uint16_t)s->n_netifs++;
	n->used = true;
	list_init(&n->blocked);
	return n;
}

void netif_add_loopback(struct tg *s)
{
	struct tg_netif_config c;

	memset(&c, 0, sizeof(c));
	memcpy(c.name, "lo", 3);
	c.link = TG_LINK_IP;
	c.mtu = 65535;
	c.caps = TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4;
	netif_new(s, &c)->loopback = true;
}

static bool name_equal(const char a[16], const char b[16])
{
	for (unsigned i = 0; i < 16; i++) {
		if (a[i] != b[i])
			return false;
		if (a[i] == 0)
			return true;
	}
	return true;
}

static bool config_possible(const struct tg_netif_config *c)
{
	static const uint8_t zero[6];

	if (!c->transmit || !memchr(c->name, 0, sizeof(c->name)) || c->name[0] == 0)
		return false;
	/* [791 3.2] every link carries 68 bytes */
	if (c->mtu < 68 || c->mtu > 65535)
		return false;
	if (c->link == TG_LINK_IP)
		return true;
	return c->link == TG_LINK_ETHERNET && !eth_is_group(c->mac) && memcmp(c->mac, zero, 6) != 0;
}

int netif_add(struct tg *s, const struct tg_netif_config *c, uint64_t now_ns)
{
	struct netif *n;

	core_enter(s, now_ns);
	if (!config_possible(c))
		return -TG_EINVAL;
	for (uint32_t i = 0; i < s->n_netifs; i++)
		if (name_equal(s->netif[i].c.name, c->name))
			return -TG_EEXIST;
	if (s->n_netifs == CORE_NETIFS_MAX)
		return -TG_ENOMEM;
	n = netif_new(s, c);
	/* Who cuts segments has to complete each one's checksum. */
	if (!(n->c.caps & TG_CAP_CSUM))
		n->c.caps &= ~(uint32_t)(TG_CAP_TSO4 | TG_CAP_USO4);
	if (!(n->c.caps & TG_CAP_TSO4))
		n->c.caps &= ~(uint32_t)TG_CAP_BIG4;
	return n->index;
}

/* ---- Loopback ---- */

static bool loopback_full(const struct tg *s)
{
	return s->lo_count >= CORE_LOQ_MAX || s->lo_bytes >= CORE_LOQ_BYTES;
}

static void loopback_push(struct tg *s, struct tg_pkt *p)
{
	p->next = NULL;
	if (s->lo_tail)
		s->lo_tail->next = p;
	else
		s->lo_head = p;
	s->lo_tail = p;
	s->lo_count++;
	s->lo_bytes += pkt_charge(p);
}

struct tg_pkt *loopback_pop(struct tg *s)
{
	struct tg_pkt *p = s->lo_head;

	if (!p)
		return NULL;
	s->lo_head = p->next;
	if (!s->lo_head)
		s->lo_tail = NULL;
	s->lo_count--;
	s->lo_bytes -= pkt_charge(p);
	return p;
}

static void gather(struct tg_pkt *p, const struct tg_frame *f)
{
	for (uint32_t i = 0; i < f->n_spans; i++) {
		if (f->span[i].len)
			memcpy(p->data + p->len, f->span[i].base, f->span[i].len);
		p->len += f->span[i].len;
	}
}

/* Copies f to the queue of the next step. False: full, or no memory while there are frames whose
 * delivery will free some. Without any such frames f is lost, as on a wire. */
static bool loopback_emit(struct tg *s, const struct tg_frame *f)
{
	struct tg_pkt *p = loopback_full(s) ? NULL : pkt_alloc(s, f->bytes);

	if (!p && s->lo_count > 0)
		return false;
	if (!p) {
		pkt_discard(s, NULL, TG_DROP_NO_MEMORY);
		return true;
	}
	gather(p, f);
	p->gso = f->gso;
	p->gso_size = f->gso_size;
	if (f->csum_partial)
		p->csum = TG_CSUM_PARTIAL;
	loopback_push(s, p);
	return true;
}

/* ---- Sending ---- */

/* Into netif_transmit by copy: after a system call every return is slow. */
static inline __attribute__((always_inline)) bool emit(
	struct tg *s, struct netif *n, const struct tg_frame *f)
{
	bool taken = false;

	if (!n->busy && n->loopback) {
		taken = loopback_emit(s, f);
	} else if (!n->busy) {
		taken = n->c.transmit(n->c.dev, f);
		if (s->recorder)
			record_transmit(s, n, f, taken);
	}
	if (!taken) {
		if (!n->busy)
			s->counters.device_busy++;
		n->busy = true;
		s->busy_netif = n->index;
		return false;
	}
	s->counters.frames_out++;
	s->counters.bytes_out += f->bytes;
	return true;
}

bool netif_emit(struct tg *s, struct netif *n, const struct tg_frame *f)
{
	return emit(s, n, f);
}

static void frame_of(const struct tx *t, struct tg_frame *f)
{
	f->span[0] = (struct tg_span){t->head + t->off, t->head_bytes};
	f->n_spans = 1; /* what lies behind is not looked at */
	for (uint32_t i = 0; i < t->n_body; i++)
		if (t->body[i].len)
			f->span[f->n_spans++] = t->body[i];
	f->bytes = t->head_bytes + t->body_bytes;
	f->hdr_bytes = t->head_bytes;
	f->gso = t->gso;
	f->gso_size = t->gso_size;
	f->csum_partial = t->csum;
	f->csum_start = t->csum ? (uint16_t)(t->l4_off - t->off) : 0;
	f->csum_offset = t->csum ? t->csum_offset : 0;
}

enum tx_result netif_transmit(struct tg *s, struct netif *n, struct tx *t)
{
	uint32_t gso_cap = t->gso == TG_GSO_UDP4 ? TG_CAP_USO4 : TG_CAP_TSO4;
	struct tg_frame f;

	if (n->busy) {
		s->busy_netif = n->index;
		return TX_BUSY;
	}
	if (t->gso == TG_GSO_NONE || t->gso_size == 0 || t->body_bytes <= t->gso_size) {
		t->gso = TG_GSO_NONE;
		t->gso_size = 0;
	} else if (!(n->c.caps & gso_cap)) {
		return gso_transmit(s, n, t);
	}
	if (t->csum && !(n->c.caps & TG_CAP_CSUM))
		tx_finish_csum(s, t);
	frame_of(t, &f);
	if (!emit(s, n, &f))
		return TX_BUSY;
	t->accepted = t->body_bytes;
	return TX_OK;
}

/* ---- Control frames ---- */

bool netif_queue(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	bool full = n->loopback ? loopback_full(s)
				: n->ctl_count >= CORE_CTLQ_MAX || n->ctl_bytes >= CORE_CTLQ_BYTES;

	if (full) {
		pkt_discard(s, p, TG_DROP_IP_QUEUE_FULL);
		return false;
	}
	p = pkt_keep(s, p);
	if (!p) {
		pkt_discard(s, NULL, TG_DROP_NO_MEMORY);
		return false;
	}
	if (n->loopback) {
		s->counters.frames_out++;
		s->counters.bytes_out += p->len;
		loopback_push(s, p);
		return true;
	}
	p->next = NULL;
	if (n->ctl_tail)
		n->ctl_tail->next = p;
	else
		n->ctl_head = p;
	n->ctl_tail = p;
	n->ctl_count++;
	n->ctl_bytes += pkt_charge(p);
	return true;
}

static void flush_one(struct tg *s, struct netif *n)
{
	struct tg_pkt *p;
	struct tg_frame f;

	while ((p = n->ctl_head) && !n->busy) {
		memset(&f, 0, sizeof(f));
		f.span[0] = (struct tg_span){p->data, p->len};
		f.n_spans = 1;
		f.bytes = p->len;
		f.hdr_bytes = (uint16_t)min_u32(p->len, UINT16_MAX);
		if (!netif_emit(s, n, &f))
			return;
		n->ctl_head = p->next;
		if (!n->ctl_head)
			n->ctl_tail = NULL;
		n->ctl_count--;
		n->ctl_bytes -= pkt_charge(p);
		tg_pkt_free(s, p);
	}
}

void netif_flush(struct tg *s)
{
	for (uint32_t i = 0; i < s->n_netifs; i++)
		flush_one(s, &s->netif[i]);
}

bool netif_has_work(const struct tg *s)
{
	if (s->lo_count > 0)
		return true;
	for (uint32_t i = 0; i < s->n_netifs; i++)
		if (s->netif[i].pass_head || (s->netif[i].ctl_head && !s->netif[i].busy))
			return true;
	return false;
}
