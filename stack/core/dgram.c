/* Datagram sockets without a network layer: see dgram.h. */
#include "core/dgram.h"

/* ---- Queues ---- */

static struct dgram *dgram_new(struct tg *s, uint32_t room)
{
	uint32_t alloc_bytes = (uint32_t)sizeof(struct dgram) + room;
	struct dgram *m = core_alloc(s, alloc_bytes);

	if (!m)
		return NULL;
	m->next = NULL;
	m->p = NULL;
	m->data = (const uint8_t *)(m + 1);
	m->alloc_bytes = alloc_bytes;
	m->charge_bytes = (uint32_t)arena_capacity(alloc_bytes);
	return m;
}

static struct dgram *dgram_copy(struct tg *s, const void *data, const struct tg_dgram *info)
{
	struct dgram *m = dgram_new(s, info->bytes);

	if (!m)
		return NULL;
	if (info->bytes)
		memcpy(m + 1, data, info->bytes);
	m->info = *info;
	return m;
}

static struct dgram *dgram_keep(
	struct tg *s, struct tg_pkt *p, const uint8_t *data, const struct tg_dgram *info)
{
	struct dgram *m = dgram_new(s, 0);

	if (!m)
		return NULL;
	m->p = p;
	m->data = data;
	m->charge_bytes += pkt_charge(p);
	m->info = *info;
	return m;
}

static void dgram_free(struct tg *s, struct dgram *m)
{
	tg_pkt_free(s, m->p);
	core_free(s, m, m->alloc_bytes);
}

static void queue_push(struct dgram_queue *q, struct dgram *m)
{
	if (q->tail)
		q->tail->next = m;
	else
		q->head = m;
	q->tail = m;
	q->count++;
	q->charge_bytes += m->charge_bytes;
	q->payload_bytes += m->info.bytes;
}

static void queue_drop_head(struct tg *s, struct dgram_queue *q)
{
	struct dgram *m = q->head;

	q->head = m->next;
	if (!q->head)
		q->tail = NULL;
	q->count--;
	q->charge_bytes -= m->charge_bytes;
	q->payload_bytes -= m->info.bytes;
	dgram_free(s, m);
}

void dgram_clear(struct tg *s, struct dgram_queue *q)
{
	while (q->head)
		queue_drop_head(s, q);
}

void dsock_cork_drop(struct tg *s, struct dsock *d)
{
	if (d->corked)
		dgram_free(s, d->corked);
	d->corked = NULL;
}

/* ---- The socket ---- */

void dsock_init(struct tg *s, struct dsock *d, enum tg_type type, enum sender_kind kind,
	uint16_t proto, uint64_t cookie)
{
	memset(d, 0, sizeof(*d));
	endpoint_init(&d->e, type, cookie);
	d->e.proto = proto;
	sender_init(&d->x, kind);
	d->rcvbuf_bytes = s->cfg.udp.rcvbuf_bytes;
	d->sndbuf_bytes = s->cfg.udp.sndbuf_bytes;
	d->ttl = s->cfg.ip.default_ttl;
	d->pmtu = s->cfg.ip.no_pmtu_disc ? TG_PMTU_DONT : TG_PMTU_WANT;
	d->mc_ttl = 1; /* [1112 6.1] */
	d->mc_loop = true;
	d->rcvlowat = 1;
	d->linger_ns = -1;
	dsock_update_level(s, d);
}

void dsock_fini(struct tg *s, struct dsock *d)
{
	dgram_clear(s, &d->rx);
	dgram_clear(s, &d->tx);
	dgram_clear(s, &d->errq);
	dsock_cork_drop(s, d);
	sender_stop(&d->x);
	endpoint_fini(&d->e);
}

void dsock_update_level(struct tg *s, struct dsock *d)
{
	unsigned level = 0;

	if (d->rx.head || d->shut_rd)
		level |= TG_IN;
	if (d->tx.charge_bytes < d->sndbuf_bytes || d->shut_wr)
		level |= TG_OUT;
	if (d->e.error || d->errq.head)
		level |= TG_ERR;
	if (d->shut_rd)
		level |= TG_RDHUP;
	if (d->shut_rd && d->shut_wr)
		level |= TG_HUP;
	endpoint_set_level(s, &d->e, level);
}

void dsock_set_error(struct tg *s, struct dsock *d, int error)
{
	d->e.error = (int16_t)error;
	dsock_update_level(s, d);
}

int dsock_take_error(struct tg *s, struct dsock *d)
{
	int error = d->e.error;

	if (error) {
		d->e.error = 0;
		dsock_update_level(s, d);
	}
	return -error;
}

/* ---- Receiving ---- */

enum dsock_push dsock_receive(struct tg *s, struct dsock *d, const uint8_t *data,
	const struct tg_dgram *info, struct tg_pkt **keep)
{
	uint32_t copy_charge = (uint32_t)arena_capacity(sizeof(struct dgram) + info->bytes);
	uint32_t charge = copy_charge;
	struct dgram *m;

	if (keep && ((*keep)->flags & PKT_RESERVE || 2 * copy_charge <= pkt_charge(*keep)))
		keep = NULL;
	if (keep)
		charge = (uint32_t)arena_capacity(sizeof(struct dgram)) + pkt_charge(*keep);
	/* One datagram fits always, however small the buffer. */
	if (d->shut_rd || (d->rx.head && charge > d->rcvbuf_bytes - min_u32(d->rx.charge_bytes,
									    d->rcvbuf_bytes)))
		return DSOCK_FULL;
	m = keep ? dgram_keep(s, *keep, data, info) : dgram_copy(s, data, info);
	if (!m)
		return DSOCK_NO_MEMORY;
	if (keep)
		*keep = NULL;
	queue_push(&d->rx, m);
	endpoint_again(s, &d->e, TG_IN);
	dsock_update_level(s, d);
	return DSOCK_TAKEN;
}

void dsock_queue_error(struct tg *s, struct dsock *d, const struct ip_error *e,
	const struct tg_addr *peer, const uint8_t *quote, uint32_t bytes)
{
	struct tg_dgram info;
	struct dgram *m;

	memset(&info, 0, sizeof(info));
	info.peer = *peer;
	info.local = e->local;
	info.bytes = bytes;
	info.error = (int16_t)e->error;
	info.icmp_type = e->icmp_type;
	info.icmp_code = e->icmp_code;
	info.mtu = e->mtu;
	info.offender = e->from;
	if (d->errq.charge_bytes >= d->rcvbuf_bytes)
		return;
	m = dgram_copy(s, quote, &info);
	if (!m)
		return;
	queue_push(&d->errq, m);
	endpoint_again(s, &d->e, TG_ERR);
}

static int64_t take_dgram(struct tg *s, struct dgram_queue *q, void *data, size_t n, unsigned flags,
	struct tg_dgram *from)
{
	struct dgram *m = q->head;
	size_t take = n < m->info.bytes ? n : m->info.bytes;

	if (take)
		memcpy(data, m->data, take);
	if (from)
		*from = m->info;
	if (flags & TG_MSG_TRUNC)
		take = m->info.bytes;
	if (!(flags & TG_MSG_PEEK))
		queue_drop_head(s, q);
	return (int64_t)take;
}

/* The pending error is that of the next entry, as on Linux. */
static int64_t take_error_entry(
	struct tg *s, struct dsock *d, void *data, size_t n, unsigned flags, struct tg_dgram *from)
{
	int64_t r;

	if (!d->errq.head)
		return -TG_EAGAIN;
	r = take_dgram(s, &d->errq, data, n, flags & ~TG_MSG_PEEK, from);
	d->e.error = d->errq.head ? d->errq.head->info.error : 0;
	dsock_update_level(s, d);
	return r;
}

int64_t dsock_recvfrom(
	struct tg *s, struct dsock *d, void *data, size_t n, unsigned flags, struct tg_dgram *from)
{
	int64_t r;

	if (flags & ~(TG_MSG_PEEK | TG_MSG_TRUNC | TG_MSG_ERRQUEUE))
		return -TG_EOPNOTSUPP;
	if (flags & TG_MSG_ERRQUEUE)
		return take_error_entry(s, d, data, n, flags, from);
	r = dsock_take_error(s, d);
	if (r < 0)
		return r;
	if (!d->rx.head)
		return d->shut_rd ? 0 : -TG_EAGAIN;
	r = take_dgram(s, &d->rx, data, n, flags, from);
	dsock_update_level(s, d);
	return r;
}

/* ---- Sending ---- */

int dsock_may_send(struct tg *s, struct dsock *d, unsigned flags)
{
	int r;

	if (flags)
		return -TG_EOPNOTSUPP;
	/* As Linux: what has been begun is ended whatever happened since. */
	if (d->corked)
		return 0;
	r = dsock_take_error(s, d);
	if (r < 0)
		return r;
	return d->shut_wr ? -TG_EPIPE : 0;
}

void dsock_choose(
	const struct dsock *d, const struct tg_dgram *to, bool group, struct tg_dgram *info)
{
	info->ttl = to && to->ttl ? to->ttl : group ? d->mc_ttl : d->ttl;
	info->tos = to && to->tos ? to->tos : d->tos;
	info->via = to && to->via ? to->via : group ? d->mc_via : 0;
}

int dsock_send(struct tg *s, struct dsock *d, const void *data, const struct tg_dgram *info)
{
	struct dgram *m;

	/* TG_OUT promises room for one datagram of any size: the last one may exceed the buffer. */
	if (d->tx.charge_bytes >= d->sndbuf_bytes)
		return -TG_EAGAIN;
	m = dgram_copy(s, data, info);
	if (!m)
		return -TG_ENOMEM;
	queue_push(&d->tx, m);
	dsock_update_level(s, d);
	sender_ready(s, &d->x);
	return 0;
}

/* Room for n more bytes behind those of d->corked: at least twice what it has, so that many small
 * pieces cost little. */
static bool cork_grow(struct tg *s, struct dsock *d, uint32_t n, uint32_t most)
{
	struct dgram *old = d->corked, *m;
	uint32_t need = old->info.bytes + n, room = old->alloc_bytes - (uint32_t)sizeof(*old);

	if (need <= room)
		return true;
	m = dgram_new(s, max_u32(need, min_u32(2 * room, most)));
	if (!m)
		return false;
	m->info = old->info;
	memcpy(m + 1, old + 1, old->info.bytes);
	dgram_free(s, old);
	d->corked = m;
	return true;
}

static int cork_add(struct tg *s, struct dsock *d, const void *data, size_t n, size_t most,
	const struct tg_dgram *info)
{
	if (!d->corked) {
		/* TG_OUT promises room for one datagram of any size. */
		if (d->tx.charge_bytes >= d->sndbuf_bytes)
			return -TG_EAGAIN;
		d->corked = dgram_new(s, (uint32_t)min_u64(n, most));
		if (!d->corked)
			return -TG_ENOMEM;
		d->corked->info = *info;
		d->corked->info.bytes = 0;
	}
	if (n > most - d->corked->info.bytes)
		return -TG_EMSGSIZE;
	if (!cork_grow(s, d, (uint32_t)n, (uint32_t)most))
		return -TG_ENOMEM;
	if (n)
		memcpy((uint8_t *)(d->corked + 1) + d->corked->info.bytes, data, n);
	d->corked->info.bytes += (uint32_t)n;
	return 0;
}

int dsock_cork(struct tg *s, struct dsock *d, const void *data, size_t n, size_t most,
	const struct tg_dgram *info, bool more)
{
	int r = cork_add(s, d, data, n, most, info);

	if (r < 0)
		dsock_cork_drop(s, d);
	else if (!more)
		dsock_uncork(s, d);
	return r;
}

void dsock_uncork(struct tg *s, struct dsock *d)
{
	if (!d->corked)
		return;
	queue_push(&d->tx, d->corked);
	d->corked = NULL;
	dsock_update_level(s, d);
	sender_ready(s, &d->x);
}

/* The head of the queue has gone, or what t's device took of it. The call that queued it has
 * returned long ago: who talks to one peer hears of an error later. */
static void dsock_sent(struct tg *s, struct dsock *d, enum tx_result r, const struct tx *t)
{
	struct dgram *m = d->tx.head;

	if (r == TX_OK && t->accepted < t->body_bytes) {
		m->data += t->accepted;
		m->info.bytes -= t->accepted;
		d->tx.payload_bytes -= t->accepted;
		return;
	}
	queue_drop_head(s, &d->tx);
	if (r == TX_DROPPED && t->error && d->connected && !d->orphan)
		d->e.error = (int16_t)t->error;
	dsock_update_level(s, d);
}

enum tx_result dsock_turn(struct tg *s, struct dsock *d, uint32_t budget_bytes,
	enum tx_result (*emit)(struct tg *s, struct dsock *d, const struct dgram *m, struct tx *t))
{
	uint32_t sent = 0;
	struct tx t;

	while (d->tx.head) {
		uint32_t cost = d->tx.head->charge_bytes;
		enum tx_result r;

		if (sent > 0 && sent + cost > budget_bytes)
			return TX_MORE;
		tx_init(&t);
		r = emit(s, d, d->tx.head, &t);
		if (r == TX_BUSY || r == TX_WAIT)
			return r;
		sent += cost;
		dsock_sent(s, d, r, &t);
	}
	return TX_OK;
}

/* ---- Options and the like ---- */

int dsock_shutdown(struct tg *s, struct dsock *d, int how)
{
	if (how < TG_SHUT_RD || how > TG_SHUT_RDWR)
		return -TG_EINVAL;
	if (!d->connected)
		return -TG_ENOTCONN;
	d->shut_rd |= how == TG_SHUT_RD || how == TG_SHUT_RDWR;
	d->shut_wr |= how == TG_SHUT_WR || how == TG_SHUT_RDWR;
	dsock_update_level(s, d);
	return 0;
}

static uint32_t clamp_buffer(int64_t v)
{
	if (v < (int64_t)DSOCK_BUF_MIN)
		return DSOCK_BUF_MIN;
	return v > (int64_t)DSOCK_BUF_MAX ? DSOCK_BUF_MAX : (uint32_t)v;
}

static int set_byte(uint8_t *field, int64_t v, int64_t least)
{
	if (v < least || v > 255)
		return -TG_EINVAL;
	*field = (uint8_t)v;
	return 0;
}

int dsock_setopt(struct tg *s, struct dsock *d, enum tg_option opt, int64_t v)
{
	/* clang-format off */
	switch ((int)opt) {
	case TG_SO_BROADCAST: d->broadcast = v != 0; break;
	case TG_SO_REUSEADDR: d->reuse = v != 0; break;
	case TG_SO_REUSEPORT: d->reuseport = v != 0; break;
	case TG_SO_KEEPALIVE: d->keepalive = v != 0; break;
	case TG_SO_OOBINLINE: d->oobinline = v != 0; break;
	case TG_SO_RCVLOWAT: d->rcvlowat = v < 1 ? 1 : v > INT32_MAX ? INT32_MAX : (uint32_t)v; break;
	case TG_SO_LINGER: d->linger_ns = v < 0 ? -1 : v; break;
	case TG_SO_SNDBUF: d->sndbuf_bytes = clamp_buffer(v); break;
	case TG_SO_RCVBUF: d->rcvbuf_bytes = clamp_buffer(v); break;
	case TG_IP_RECVERR:
		d->recverr = v != 0;
		if (!d->recverr)
			dgram_clear(s, &d->errq);
		break;
	case TG_IP_TTL: return set_byte(&d->ttl, v, 1); /* [1122 3.2.1.7] never zero */
	case TG_IP_TOS: return set_byte(&d->tos, v, 0);
	case TG_IP_MTU_DISCOVER: return v > TG_PMTU_OMIT ? -TG_EINVAL : set_byte(&d->pmtu, v, 0);
	case TG_IP_MULTICAST_TTL: return set_byte(&d->mc_ttl, v, 0);
	case TG_IP_MULTICAST_LOOP: d->mc_loop = v != 0; break;
	case TG_IP_MULTICAST_IF:
		if (v < 0 || v > s->n_netifs)
			return -TG_EADDRNOTAVAIL;
		d->mc_via = (uint16_t)v;
		break;
	default: return -TG_ENOPROTOOPT;
	}
	/* clang-format on */
	dsock_update_level(s, d);
	return 0;
}

int dsock_getopt(const struct dsock *d, enum tg_option opt, int64_t *v)
{
	switch ((int)opt) {
	case TG_SO_BROADCAST: *v = d->broadcast; break;
	case TG_SO_REUSEADDR: *v = d->reuse; break;
	case TG_SO_REUSEPORT: *v = d->reuseport; break;
	case TG_SO_KEEPALIVE: *v = d->keepalive; break;
	case TG_SO_OOBINLINE: *v = d->oobinline; break;
	case TG_SO_RCVLOWAT: *v = d->rcvlowat; break;
	case TG_SO_LINGER: *v = d->linger_ns; break;
	case TG_SO_SNDBUF: *v = d->sndbuf_bytes; break;
	case TG_SO_RCVBUF: *v = d->rcvbuf_bytes; break;
	case TG_IP_RECVERR: *v = d->recverr; break;
	case TG_IP_TTL: *v = d->ttl; break;
	case TG_IP_TOS: *v = d->tos; break;
	case TG_IP_MTU_DISCOVER: *v = d->pmtu; break;
	case TG_IP_MULTICAST_TTL: *v = d->mc_ttl; break;
	case TG_IP_MULTICAST_LOOP: *v = d->mc_loop; break;
	case TG_IP_MULTICAST_IF: *v = d->mc_via; break;
	case TG_SO_INQ: *v = d->rx.head ? d->rx.head->info.bytes : 0; break;
	case TG_SO_OUTQ: *v = d->tx.payload_bytes; break;
	case TG_SO_ACCEPTCONN: *v = 0; break;
	default: return -TG_ENOPROTOOPT;
	}
	return 0;
}

void dsock_row(const struct dsock *d, struct tg_sock_row *out)
{
	memset(out, 0, sizeof(*out));
	out->sock = handle_of(&d->e);
	out->type = d->e.type;
	out->state = d->connected ? TG_ESTABLISHED : TG_CLOSED;
	out->local = d->local;
	out->peer = d->peer;
	out->recv_q_bytes = d->rx.payload_bytes;
	out->send_q_bytes = d->tx.payload_bytes;
}
