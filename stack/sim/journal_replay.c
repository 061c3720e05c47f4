/* Replaying: makes the recorded calls on an instance of its own, whose devices answer as the
 * recorded ones did, and compares what comes of them. What a record says is checked before use: the
 * hash is no proof against who means harm. */
#include "sim/journal.h"

#include "core/core.h"
#include "sock/sock_impl.h"

/* got is what was recorded, or the replay ends here. */
static void expect(struct tg_replay *p, uint64_t got, uint64_t wanted, const char *why)
{
	if (got == wanted || p->state != TG_REPLAY_MORE)
		return;
	p->got = got;
	p->wanted = wanted;
	journal_stop(p, TG_REPLAY_DIFFERENT, why);
}

static bool room_for(struct tg_replay *p, uint64_t n)
{
	return n <= TG_RECORD_BYTES_MAX ||
	       journal_damaged(p, "a record is too long for the replay");
}

/* ---- Interfaces, addresses, packets ---------------------------------------------------------- */

static bool replay_transmit(void *arg, const struct tg_frame *f)
{
	struct tg_replay_dev *d = arg;
	struct tg_replay *p = d->replay;
	const struct tg_record *r = &p->rec;
	bool taken;

	if (p->state != TG_REPLAY_MORE || !journal_read(p))
		return false;
	if (r->type != TG_RECORD_TRANSMIT) {
		expect(p, 1, 0, "a frame more than was recorded");
		return false;
	}
	expect(p, d->netif, r->word[0], "the interface that sends a frame");
	expect(p, f->bytes, r->word[2], "the bytes of a frame");
	expect(p, tg_frame_hash(f), r->word[3], "the hash of a frame");
	if (p->state != TG_REPLAY_MORE)
		return false;
	taken = r->word[1] != 0;
	journal_take(p);
	p->frames_out++;
	return taken;
}

static bool replay_pass(void *arg, unsigned to, const struct tg_pkt *k)
{
	struct tg_replay_dev *d = arg;
	struct tg_replay *p = d->replay;
	const struct tg_record *r = &p->rec;
	bool taken;

	if (p->state != TG_REPLAY_MORE || !journal_read(p))
		return false;
	if (r->type != TG_RECORD_PASS) {
		expect(p, 1, 0, "a frame passed on that was not recorded");
		return false;
	}
	expect(p, d->netif, r->word[0], "the interface of a frame passed on");
	expect(p, to, r->word[1], "whom a frame is passed on to");
	expect(p, record_pass_hash(k), r->word[3], "the hash of a frame passed on");
	if (p->state != TG_REPLAY_MORE)
		return false;
	taken = r->word[2] != 0;
	journal_take(p);
	return taken;
}

static void do_netif_add(struct tg_replay *p, const struct tg_record *r)
{
	struct tg_netif_config c = {
		.link = r->word[1] == TG_LINK_IP ? TG_LINK_IP : TG_LINK_ETHERNET,
		.mtu = (uint32_t)r->word[2],
		.caps = (uint32_t)r->word[3],
		.announce = r->word[4] & 1};
	struct tg_replay_dev *d;
	int result;

	if (!journal_string(p, r, 0, c.name, sizeof(c.name)) ||
		!journal_string(p, r, 1, c.mac, sizeof(c.mac)))
		return;
	if (p->n_dev == ARRAY_LEN(p->dev)) {
		journal_damaged(p, "too many interfaces");
		return;
	}
	d = &p->dev[p->n_dev];
	d->replay = p;
	c.dev = d;
	c.transmit = r->word[4] & 2 ? replay_transmit : NULL;
	c.pass = r->word[4] & 4 ? replay_pass : NULL;
	result = tg_netif_add(p->s, &c, r->word[0]);
	if (result >= 0) {
		d->netif = (unsigned)result;
		p->n_dev++;
	}
	expect(p, (uint64_t)(int64_t)result, r->word[5], "the result");
}

static void do_addr_add(struct tg_replay *p, const struct tg_record *r)
{
	struct tg_ip ip;

	if (journal_string(p, r, 0, &ip, sizeof(ip)))
		expect(p,
			(uint64_t)(int64_t)tg_addr_add(
				p->s, (unsigned)r->word[0], &ip, (unsigned)r->word[1], r->word[2]),
			r->word[3], "the result");
}

static void do_route(struct tg_replay *p, const struct tg_record *r)
{
	bool add = r->type == TG_RECORD_ROUTE_ADD, via = r->word[add ? 4 : 3] != 0;
	struct tg_ip dest, gw;
	int result;

	if (!journal_string(p, r, 0, &dest, sizeof(dest)) ||
		(via && !journal_string(p, r, 1, &gw, sizeof(gw))))
		return;
	if (add)
		result = tg_route_add(p->s, &dest, (unsigned)r->word[0], via ? &gw : NULL,
			(unsigned)r->word[1], (unsigned)r->word[2], r->word[3]);
	else
		result = tg_route_del(p->s, &dest, (unsigned)r->word[0], via ? &gw : NULL,
			(unsigned)r->word[1], r->word[2]);
	expect(p, (uint64_t)(int64_t)result, r->word[add ? 5 : 4], "the result");
}

static void do_pkt_alloc(struct tg_replay *p, const struct tg_record *r)
{
	struct tg_pkt *k;

	if (p->n_pkts == TG_JOURNAL_PKTS_MAX) {
		journal_damaged(p, "too many packets are out");
		return;
	}
	k = tg_pkt_alloc(p->s, (uint32_t)r->word[0]);
	if (k)
		p->pkt[p->n_pkts++] = (struct tg_replay_pkt){r->word[1], k};
	expect(p, k != NULL, r->word[1] != 0, "whether there was a packet");
}

/* Takes the packet of that name off the table of those that are out. */
static struct tg_pkt *pkt_take(struct tg_replay *p, uint64_t id)
{
	for (uint32_t i = p->n_pkts; i-- > 0;) {
		struct tg_pkt *k = p->pkt[i].p;

		if (p->pkt[i].id != id)
			continue;
		p->pkt[i] = p->pkt[--p->n_pkts];
		return k;
	}
	journal_damaged(p, "a packet that is not out");
	return NULL;
}

static void do_pkt_free(struct tg_replay *p, const struct tg_record *r)
{
	struct tg_pkt *k = pkt_take(p, r->word[0]);

	if (k)
		tg_pkt_free(p->s, k);
}

static void do_input(struct tg_replay *p, const struct tg_record *r)
{
	struct tg_pkt *k = pkt_take(p, r->word[2]);
	uint64_t off = r->word[3], len = r->word[4];

	if (!k)
		return;
	k->len = (uint32_t)len;
	k->merged = (uint16_t)(r->word[5] >> 32);
	k->gso_size = (uint16_t)(r->word[5] >> 16);
	k->gso = (uint8_t)(r->word[5] >> 8);
	k->csum = (uint8_t)r->word[5];
	k->passed = (uint8_t)(r->word[5] >> 48);
	/* What the device filled in may be impossible; the core finds out. */
	k->data = (uint8_t *)((uintptr_t)tg_pkt_block(k) + (uintptr_t)off);
	if (r->n_data) {
		if (r->data[0].len != len || off > k->room || len > k->room - off) {
			tg_pkt_free(p->s, k);
			journal_damaged(p, "a frame that does not fit its packet");
			return;
		}
		memcpy(k->data, r->data[0].base, (size_t)len);
	}
	tg_input(p->s, (unsigned)r->word[0], k, r->word[1]);
}

static void do_step(struct tg_replay *p, const struct tg_record *r)
{
	tg_step(p->s, r->word[0]);
	if (p->state == TG_REPLAY_MORE && p->at < p->bytes && journal_read(p))
		expect(p, 0, p->rec.type == TG_RECORD_TRANSMIT || p->rec.type == TG_RECORD_PASS,
			"fewer frames than recorded");
}

static void do_event(struct tg_replay *p, const struct tg_record *r)
{
	struct tg_event e = {0};

	expect(p, tg_event(p->s, &e), true, "whether there was an event");
	expect(p, e.sock, r->word[0], "the socket of an event");
	expect(p, e.cookie, r->word[1], "the cookie of an event");
	expect(p, e.events, r->word[2], "the bits of an event");
}

static void do_fail_after(struct tg_replay *p, const struct tg_record *r)
{
	tg_memory_fail_after(p->s, r->word[0], r->word[1]);
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static void do_open(struct tg_replay *p, const struct tg_record *r)
{
	tg_sock k = 0;
	int result = tg_sock_open(
		p->s, (enum tg_type)r->word[0], (int)(uint32_t)r->word[1], r->word[2], &k);

	expect(p, (uint64_t)(int64_t)result, r->word[4], "the result");
	expect(p, k, r->word[3], "the handle");
}

/* bind and connect. */
static void do_address(struct tg_replay *p, const struct tg_record *r)
{
	bool bind = r->type == TG_RECORD_SOCK_BIND;
	struct tg_addr a;
	const struct tg_addr *given = r->n_data ? &a : NULL;
	int result;

	if (given && !journal_string(p, r, 0, &a, sizeof(a)))
		return;
	if (bind)
		result = tg_sock_bind(p->s, r->word[0], given);
	else
		result = tg_sock_connect(p->s, r->word[0], given, r->word[1]);
	expect(p, (uint64_t)(int64_t)result, r->word[bind ? 1 : 2], "the result");
}

static void do_accept(struct tg_replay *p, const struct tg_record *r)
{
	tg_sock k = 0;
	int result = tg_sock_accept(p->s, r->word[0], r->word[1], &k, r->word[2]);

	expect(p, (uint64_t)(int64_t)result, r->word[4], "the result");
	expect(p, k, r->word[3], "the handle");
}

/* The bytes of a send, of which the journal has those that were taken. NULL: none were given. */
static const void *sent_bytes(
	struct tg_replay *p, const struct tg_record *r, unsigned i, uint64_t n, uint64_t result)
{
	if (result == (uint64_t)-TG_EFAULT)
		return NULL;
	if (i >= r->n_data)
		return p->scratch;
	if (r->data[i].len == n)
		return r->data[i].base;
	if (r->data[i].len < n)
		memcpy(p->scratch, r->data[i].base, r->data[i].len);
	return p->scratch;
}

static void do_send(struct tg_replay *p, const struct tg_record *r)
{
	uint64_t n = r->word[1];

	if (room_for(p, n))
		expect(p,
			(uint64_t)tg_sock_send(p->s, r->word[0], sent_bytes(p, r, 0, n, r->word[4]),
				(size_t)n, (unsigned)r->word[2], r->word[3]),
			r->word[4], "the result");
}

static void do_sendto(struct tg_replay *p, const struct tg_record *r)
{
	bool has_to = r->word[3] != 0;
	uint64_t n = r->word[1];
	struct tg_dgram to = {.segment = (int32_t)(r->word[4] >> 32),
		.via = (uint16_t)(r->word[4] >> 16),
		.ttl = (uint8_t)(r->word[4] >> 8),
		.tos = (uint8_t)r->word[4]};
	const void *data;

	if (!room_for(p, n))
		return;
	if (has_to && (!journal_string(p, r, 0, &to.peer, sizeof(to.peer)) ||
			      !journal_string(p, r, 1, &to.local, sizeof(to.local))))
		return;
	data = sent_bytes(p, r, has_to ? 2 : 0, n, r->word[6]);
	expect(p,
		(uint64_t)tg_sock_sendto(p->s, r->word[0], data, (size_t)n, (unsigned)r->word[2],
			has_to ? &to : NULL, r->word[5]),
		r->word[6], "the result");
}

/* recv and recvfrom. */
static void do_recv(struct tg_replay *p, const struct tg_record *r)
{
	bool from = r->type == TG_RECORD_SOCK_RECVFROM;
	const uint64_t *w = r->word + (from ? 4 : 3); /* now, hash, result */
	void *data = w[2] == (uint64_t)-TG_EFAULT ? NULL : p->scratch;
	uint64_t n = r->word[1], hash = 0;
	struct tg_dgram d;
	int64_t result;

	if (!room_for(p, n))
		return;
	result = tg_sock_recvfrom(p->s, r->word[0], data, (size_t)n, (unsigned)r->word[2],
		from && r->word[3] ? &d : NULL, w[0]);
	expect(p, (uint64_t)result, w[2], "the result");
	if (result > 0)
		hash = chain_hash(0, p->scratch, (size_t)min_u64((uint64_t)result, n));
	expect(p, hash, w[1], "the bytes received");
}

static void do_reserve(struct tg_replay *p, const struct tg_record *r)
{
	struct tg_mspan span[2];

	expect(p, (uint64_t)(int64_t)tg_sock_reserve(p->s, r->word[0], (size_t)r->word[1], span),
		r->word[2], "the result");
}

/* Puts the bytes where the application had put them: a second reserve gives the same room. */
static bool fill_reserved(struct tg_replay *p, const struct tg_record *r)
{
	struct tg_mspan span[2];
	uint64_t n = 0;
	int spans;

	for (unsigned i = 0; i < r->n_data; i++) {
		if (r->data[i].len)
			memcpy(p->scratch + n, r->data[i].base, r->data[i].len);
		n += r->data[i].len;
	}
	if (n != r->word[1])
		return journal_damaged(p, "a record lacks what belongs to it");
	spans = tg_sock_reserve(p->s, r->word[0], (size_t)n, span);
	n = 0;
	for (int i = 0; i < spans; i++) {
		memcpy(span[i].base, p->scratch + n, span[i].len);
		n += span[i].len;
	}
	expect(p, n, r->word[1], "the room that was reserved");
	return p->state == TG_REPLAY_MORE;
}

static void do_commit(struct tg_replay *p, const struct tg_record *r)
{
	if (r->n_data && !fill_reserved(p, r))
		return;
	expect(p,
		(uint64_t)(int64_t)tg_sock_commit(
			p->s, r->word[0], (size_t)r->word[1], (unsigned)r->word[2], r->word[3]),
		r->word[4], "the result");
}

static void do_peek(struct tg_replay *p, const struct tg_record *r)
{
	struct tg_span *span = (struct tg_span *)(void *)p->scratch;
	uint64_t bytes = 0;
	int result;

	if (!room_for(
		    p, r->word[1] > TG_RECORD_BYTES_MAX ? r->word[1] : r->word[1] * sizeof(*span)))
		return;
	result = tg_sock_peek(p->s, r->word[0], span, (unsigned)r->word[1]);
	for (int i = 0; i < result; i++)
		bytes += span[i].len;
	expect(p, (uint64_t)(int64_t)result, r->word[3], "the result");
	expect(p, bytes, r->word[2], "the bytes to be read");
}

/* Calls with plain arguments. */
static void do_plain(struct tg_replay *p, const struct tg_record *r)
{
	const uint64_t *w = r->word;
	int result = 0;

	if (r->type == TG_RECORD_SOCK_LISTEN)
		result = tg_sock_listen(p->s, w[0], (uint32_t)w[1], w[2]);
	else if (r->type == TG_RECORD_SOCK_CONSUME)
		result = tg_sock_consume(p->s, w[0], (size_t)w[1], w[2]);
	else if (r->type == TG_RECORD_SOCK_SHUTDOWN)
		result = tg_sock_shutdown(p->s, w[0], (int)(uint32_t)w[1], w[2]);
	else if (r->type == TG_RECORD_SOCK_CLOSE)
		result = tg_sock_close(p->s, w[0], w[1]);
	else if (r->type == TG_RECORD_SOCK_ABORT)
		result = tg_sock_abort(p->s, w[0], w[1]);
	else if (r->type == TG_RECORD_SOCK_SETOPT)
		result = tg_sock_setopt(p->s, w[0], (enum tg_option)w[1], (int64_t)w[2], w[3]);
	expect(p, (uint64_t)(int64_t)result, w[r->n_words - 1u], "the result");
}

/* What sock/ does for the BSD interface beside tapglass.h. */
static void do_error(struct tg_replay *p, const struct tg_record *r)
{
	sock_put_error(p->s, r->word[0], (int)(int64_t)r->word[1]);
}

static void do_getopt(struct tg_replay *p, const struct tg_record *r)
{
	int64_t value = 0;
	int result = tg_sock_getopt(p->s, r->word[0], (enum tg_option)r->word[1], &value);

	expect(p, (uint64_t)(int64_t)result, r->word[3], "the result");
	expect(p, result < 0 ? 0 : (uint64_t)value, r->word[2], "the option's value");
}

/* ---- The order of things --------------------------------------------------------------------- */

static void hash_trace(struct tg_replay *p)
{
	journal_hash_trace(p->s, &p->trace_cursor, &p->trace_hash);
}

static void do_check(struct tg_replay *p, const struct tg_record *r)
{
	hash_trace(p);
	if (r->type == TG_RECORD_CHECK)
		expect(p, p->calls, r->word[0], "the number of calls");
	/* A recording that ended by itself ended before the last call's records were hashed. */
	if (r->type == TG_RECORD_CHECK || r->word[0] == TG_RECORD_STOPPED) {
		expect(p, p->trace_hash, r->word[1], "the hash of the trace");
		expect(p, journal_hash_counters(p->s), r->word[2], "the hash of the counters");
		p->checks++;
	}
	if (r->type == TG_RECORD_END) {
		p->ended = (uint8_t)min_u64(r->word[0], UINT8_MAX);
		journal_stop(p, TG_REPLAY_END, "the end");
	}
}

static void (*const make_call[])(struct tg_replay *p, const struct tg_record *r) = {
	[TG_RECORD_END] = do_check,
	[TG_RECORD_CHECK] = do_check,
	[TG_RECORD_NETIF_ADD] = do_netif_add,
	[TG_RECORD_ADDR_ADD] = do_addr_add,
	[TG_RECORD_ROUTE_ADD] = do_route,
	[TG_RECORD_ROUTE_DEL] = do_route,
	[TG_RECORD_PKT_ALLOC] = do_pkt_alloc,
	[TG_RECORD_PKT_FREE] = do_pkt_free,
	[TG_RECORD_INPUT] = do_input,
	[TG_RECORD_STEP] = do_step,
	[TG_RECORD_SOCK_OPEN] = do_open,
	[TG_RECORD_SOCK_BIND] = do_address,
	[TG_RECORD_SOCK_LISTEN] = do_plain,
	[TG_RECORD_SOCK_CONNECT] = do_address,
	[TG_RECORD_SOCK_ACCEPT] = do_accept,
	[TG_RECORD_SOCK_SEND] = do_send,
	[TG_RECORD_SOCK_RECV] = do_recv,
	[TG_RECORD_SOCK_RESERVE] = do_reserve,
	[TG_RECORD_SOCK_COMMIT] = do_commit,
	[TG_RECORD_SOCK_PEEK] = do_peek,
	[TG_RECORD_SOCK_CONSUME] = do_plain,
	[TG_RECORD_SOCK_SENDTO] = do_sendto,
	[TG_RECORD_SOCK_RECVFROM] = do_recv,
	[TG_RECORD_SOCK_SHUTDOWN] = do_plain,
	[TG_RECORD_SOCK_CLOSE] = do_plain,
	[TG_RECORD_SOCK_ABORT] = do_plain,
	[TG_RECORD_SOCK_SETOPT] = do_plain,
	[TG_RECORD_SOCK_GETOPT] = do_getopt,
	[TG_RECORD_EVENT] = do_event,
	[TG_RECORD_PUT_ERROR] = do_error,
	[TG_RECORD_FAIL_AFTER] = do_fail_after,
};
_Static_assert(ARRAY_LEN(make_call) == TG_RECORD_COUNT, "each type of record has a function");

enum tg_replay_state tg_replay_next(struct tg_replay *p)
{
	struct tg_record rec;

	if (p->state != TG_REPLAY_MORE || !journal_read(p))
		return (enum tg_replay_state)p->state;
	rec = p->rec;
	p->last = rec.type;
	if (!make_call[rec.type]) {
		journal_damaged(p, "a record in the wrong place");
		return TG_REPLAY_DAMAGED;
	}
	journal_take(p);
	if (journal_told_before(rec.type))
		hash_trace(p);
	make_call[rec.type](p, &rec);
	if (journal_is_call(rec.type)) {
		p->calls++;
		if (!journal_told_before(rec.type))
			hash_trace(p);
	}
	return (enum tg_replay_state)p->state;
}

bool tg_replay_begin(struct tg_replay *p, void *mem, void *scratch)
{
	p->scratch = scratch;
	p->s = tg_create(&p->config, mem, (size_t)p->reserved_bytes, p->start_ns);
	if (!p->s)
		journal_stop(p, TG_REPLAY_DAMAGED, "the configuration is impossible");
	return p->s != NULL;
}
