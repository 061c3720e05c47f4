/* Applications on streams: both ends of every flow write, read, sleep, close or abort as the plan
 * says, driven by readiness edges and their own timers alone, so that an edge that gets lost shows
 * as a stall. Every byte read is compared with what the other end sends. */
#include "sim.h"

#define RETRY_NS   (10 * NS_PER_MS)
#define GIVE_UP_NS (300 * NS_PER_SEC)
#define ACCEPT_NS  (240 * NS_PER_SEC) /* beyond R2 of a SYN-ACK */
#define TURN_CALLS 40u

static uint8_t scratch[65536];

static struct flow_end *end_of(uint32_t i, unsigned e)
{
	return &sim->flow[i].end[e];
}
static const struct end_plan *plan_of(uint32_t i, unsigned e)
{
	return &sim->plan.flow[i].end[e];
}
static struct tg *host_of(const struct flow_end *x)
{
	return sim->host[x->host].s;
}

void flow_disturb(uint32_t i)
{
	struct flow *f = &sim->flow[i];

	if (f->disturbed)
		return;
	f->disturbed = true;
	f->disturbed_ns = sim->now_ns;
}

void flow_give_up(uint32_t i)
{
	flow_disturb(i);
	sim->flow[i].disturbed_ns = sim->now_ns - GIVE_UP_NS;
	sim_progress();
}

void flow_check_done(uint32_t i)
{
	struct flow *f = &sim->flow[i];
	bool never_accepted = f->end[1].state == END_WAITING && (f->disturbed || f->end[0].error);

	if (f->done || f->end[0].state != END_DONE ||
		(f->end[1].state != END_DONE && !never_accepted))
		return;
	f->done = true;
	f->done_ns = sim->now_ns;
	sim->n_done++;
	for (unsigned e = 0; e < 2 && !f->disturbed; e++)
		if (f->end[!e].received != plan_of(i, e)->bytes)
			sim_fail("flow %u end %u: %u of %u bytes arrived", i, e,
				f->end[!e].received, plan_of(i, e)->bytes);
}

static void end_done(uint32_t i, unsigned e)
{
	struct flow_end *x = end_of(i, e);

	x->state = END_DONE;
	x->k = 0;
	x->wake_ns = NEVER_NS;
	sim_progress();
	flow_check_done(i);
}

/* The user's end of a socket: all that was sent must still arrive, or the flow counts as disturbed.
 */
static void end_close(uint32_t i, unsigned e)
{
	struct flow_end *x = end_of(i, e);

	if (x->received < plan_of(i, !e)->bytes)
		flow_disturb(i);
	SIM_CHECK(tg_sock_close(host_of(x), x->k, sim->now_ns) == 0);
	end_done(i, e);
}

static void end_abort(uint32_t i, unsigned e)
{
	struct flow_end *x = end_of(i, e);

	flow_disturb(i);
	if (x->k)
		SIM_CHECK(tg_sock_abort(host_of(x), x->k, sim->now_ns) == 0);
	end_done(i, e);
}

static void end_error(uint32_t i, unsigned e, int error)
{
	struct flow_end *x = end_of(i, e);

	if (!flow_error_explained(i, e, error))
		sim_fail("flow %u end %u: unexplained error %d in state %u (received %u, sent %u)",
			i, e, error, x->state, x->received, x->sent);
	x->error = error;
	flow_disturb(i);
	SIM_CHECK(tg_sock_close(host_of(x), x->k, sim->now_ns) == 0);
	end_done(i, e);
}

/* ---- Beginning ---- */

static bool end_open(uint32_t i, unsigned e)
{
	struct flow_end *x = end_of(i, e);
	const struct end_plan *p = plan_of(i, e);
	uint64_t cookie = 1ull << 32 | (2 * i + e);
	const struct flow_plan *fp = &sim->plan.flow[i];
	bool bind = fp->kind == OPEN_CROSSING || fp->port;
	struct tg_addr any = {{{0}}, fp->port ? fp->port : (uint16_t)(SIM_BOUND + i)};
	int r = tg_sock_open(host_of(x), TG_STREAM, 0, cookie, &x->k);

	if (r == 0 && p->nodelay)
		r = tg_sock_setopt(host_of(x), x->k, TG_TCP_NODELAY, 1, sim->now_ns);
	if (r == 0 && p->cc != TG_CC_COUNT)
		r = tg_sock_setopt(host_of(x), x->k, TG_TCP_CONGESTION, p->cc, sim->now_ns);
	if (r == 0 && p->max_rate)
		r = tg_sock_setopt(
			host_of(x), x->k, TG_SO_MAX_PACING_RATE, (int64_t)p->max_rate, sim->now_ns);
	if (r == 0 && p->keepalive)
		r = tg_sock_setopt(host_of(x), x->k, TG_SO_KEEPALIVE, 1, sim->now_ns);
	if (r == 0 && bind)
		r = tg_sock_bind(host_of(x), x->k, &any);
	if (r == 0)
		r = tg_sock_setopt(host_of(x), x->k, TG_TCP_USER_TIMEOUT,
			(int64_t)p->user_timeout_ns, sim->now_ns);
	SIM_CHECK(r == 0 || (r == -TG_ENOMEM && sim->host[x->host].failing));
	return r == 0;
}

static bool end_connect(uint32_t i, unsigned e, uint16_t port)
{
	struct flow_end *x = end_of(i, e), *peer = end_of(i, !e);
	struct tg_addr to = {host_ip(peer->host, wire_of(x->host, peer->host)), port}, local;
	int r = tg_sock_connect(host_of(x), x->k, &to, sim->now_ns);

	if (r != -TG_EINPROGRESS) {
		if ((r != -TG_ENOMEM && r != -TG_ENOBUFS) || !sim->host[x->host].failing)
			sim_fail("flow %u end %u: connect gave %d", i, e, r);
		return false;
	}
	SIM_CHECK(tg_sock_local_addr(host_of(x), x->k, &local) == 0);
	x->port = local.port;
	x->state = END_CONNECTING;
	if (plan_of(i, e)->impatient_ns)
		x->wake_ns = sim->now_ns + plan_of(i, e)->impatient_ns;
	return true;
}

static void start_failed(uint32_t i)
{
	flow_disturb(i);
	for (unsigned e = 0; e < 2; e++)
		if (end_of(i, e)->k)
			end_abort(i, e);
		else
			end_done(i, e);
}

void flow_start(uint32_t i)
{
	const struct flow_plan *p = &sim->plan.flow[i];
	struct flow *f = &sim->flow[i];
	bool crossing = p->kind == OPEN_CROSSING;
	uint16_t port = crossing ? (uint16_t)(SIM_BOUND + i)
				 : (uint16_t)(p->kind == OPEN_REFUSED ? 9 : SIM_PORT + p->listener);

	f->started = true;
	f->started_ns = sim->now_ns;
	sim->n_started++;
	for (unsigned e = 0; e < 2; e++) {
		f->end[e].host = p->host[e];
		f->end[e].rng.v = p->end[e].key;
		f->end[e].wake_ns = NEVER_NS;
	}
	f->end[1].state = END_WAITING;
	f->end[1].port = port;
	if (!end_open(i, 0) || (crossing && !end_open(i, 1)) || !end_connect(i, 0, port) ||
		(crossing && !end_connect(i, 1, port))) {
		start_failed(i);
		return;
	}
	f->next = sim->port_flow[p->host[0]][f->end[0].port];
	sim->port_flow[p->host[0]][f->end[0].port] = (uint16_t)(i + 1);
	if (p->kind == OPEN_REFUSED)
		end_done(i, 1);
	else if (!crossing && !sim->host[p->host[1]].listener[p->listener].k)
		flow_disturb(i);
}

/* ---- Writing ---- */

static int64_t write_in_place(struct flow_end *x, uint64_t key, uint32_t n, unsigned flags)
{
	struct tg_mspan span[2] = {{0}, {0}};
	uint32_t done = 0;
	int r = tg_sock_reserve(host_of(x), x->k, n, span);

	if (r < 0)
		return r;
	for (int s = 0; s < r; s++) {
		uint32_t part = min_u32(span[s].len, n - done);

		stream_fill(key, x->sent + done, span[s].base, part);
		done += part;
	}
	if (done > 1 && sim_chance(&x->rng, 20))
		done = 1 + sim_below(&x->rng, done); /* less than was reserved */
	r = tg_sock_commit(host_of(x), x->k, done, flags, sim->now_ns);
	return r < 0 ? r : (int64_t)done;
}

/* What a call needs to wake a connection at rest may be lacking, too. */
static void retry_later(struct flow_end *x)
{
	SIM_CHECK(sim->host[x->host].failing);
	x->wake_ns = sim->now_ns + RETRY_NS;
}

static void write_some(uint32_t i, unsigned e)
{
	struct flow_end *x = end_of(i, e);
	const struct end_plan *p = plan_of(i, e);
	uint32_t n = min_u32(
		1 + sim_below(&x->rng, p->write_max), min_u32(p->bytes - x->sent, sizeof(scratch)));
	unsigned flags = p->more && x->sent + n < p->bytes ? TG_MSG_MORE : 0;
	int64_t r;

	if (p->in_place & 1) {
		r = write_in_place(x, p->key, n, flags);
	} else {
		stream_fill(p->key, x->sent, scratch, n);
		r = tg_sock_send(host_of(x), x->k, scratch, n, flags, sim->now_ns);
	}
	if (r > 0) {
		SIM_CHECK(r <= n);
		x->sent += (uint32_t)r;
		sim_progress();
		if (p->think_ns)
			x->wake_ns = sim->now_ns + p->think_ns;
	} else if (r == -TG_EAGAIN) {
		x->can_write = false;
	} else if (r == -TG_ENOMEM) {
		retry_later(x);
	} else {
		end_error(i, e, (int)-r);
	}
}

/* ---- Reading ---- */

static int64_t read_in_place(struct flow_end *x, uint64_t key, uint32_t n)
{
	struct tg_span span[5];
	unsigned max = 1 + sim_below(&x->rng, 5);
	uint32_t done = 0;
	int r = tg_sock_peek(host_of(x), x->k, span, max);

	if (r <= 0)
		return r;
	SIM_CHECK((unsigned)r <= max);
	for (int s = 0; s < r && done < n; s++) {
		uint32_t part = min_u32(span[s].len, n - done);

		SIM_CHECK(stream_equal(key, x->received + done, span[s].base, part));
		done += part;
	}
	SIM_CHECK(done > 0 && tg_sock_consume(host_of(x), x->k, done, sim->now_ns) == 0);
	return done;
}

static int64_t read_copy(struct flow_end *x, const struct end_plan *p, uint64_t key, uint32_t n)
{
	int64_t r, peeked = 0;

	if (p->in_place & 4) {
		peeked = tg_sock_recv(host_of(x), x->k, scratch, n, TG_MSG_PEEK, sim->now_ns);
		if (peeked > 0)
			SIM_CHECK(stream_equal(key, x->received, scratch, (uint32_t)peeked));
		if (peeked < 0)
			return peeked;
	}
	r = tg_sock_recv(host_of(x), x->k, scratch, n, 0, sim->now_ns);
	if (p->in_place & 4)
		SIM_CHECK(r == peeked);
	if (r > 0)
		SIM_CHECK(stream_equal(key, x->received, scratch, (uint32_t)r));
	return r;
}

static void note_read(uint32_t i, unsigned e, uint32_t n)
{
	struct flow_end *x = end_of(i, e);
	const struct end_plan *p = plan_of(i, e);

	x->received += n;
	sim_progress();
	/* never more than was sent */
	SIM_CHECK(x->received <= end_of(i, !e)->sent);
	if (p->pause_bytes && x->received - x->paused_at >= p->pause_bytes &&
		(!p->pauses || x->pauses < p->pauses)) {
		x->pauses++;
		x->paused_at = x->received;
		x->wake_ns = sim->now_ns + p->pause_ns;
	}
}

static void read_some(uint32_t i, unsigned e)
{
	struct flow_end *x = end_of(i, e);
	const struct end_plan *p = plan_of(i, e);
	uint32_t n = min_u32(1 + sim_below(&x->rng, p->read_max), sizeof(scratch));
	const struct flow_end *peer = end_of(i, !e);
	uint64_t key = plan_of(i, !e)->key;
	int64_t r = p->in_place & 2 ? read_in_place(x, key, n) : read_copy(x, p, key, n);

	if (r > 0) {
		SIM_CHECK(r <= n);
		note_read(i, e, (uint32_t)r);
	} else if (r == 0) {
		x->eof = true;
		x->can_read = false;
		sim_progress();
		/* a clean end of the stream means that all of it is here */
		if (x->received != (peer->cut ? peer->sent : plan_of(i, !e)->bytes))
			sim_fail("flow %u end %u: end of stream after %u of %u bytes", i, e,
				x->received, plan_of(i, !e)->bytes);
	} else if (r == -TG_EAGAIN) {
		x->can_read = false;
	} else if (r == -TG_ENOMEM) {
		retry_later(x);
	} else {
		end_error(i, e, (int)-r);
	}
}

/* ---- A turn ---- */

static bool all_done(uint32_t i, unsigned e)
{
	const struct flow_end *x = end_of(i, e);

	return x->state == END_OPEN && x->sent == plan_of(i, e)->bytes &&
	       x->received == plan_of(i, !e)->bytes;
}

static void shut(struct flow_end *x)
{
	int r = x->shut ? 0 : tg_sock_shutdown(host_of(x), x->k, TG_SHUT_WR, sim->now_ns);

	SIM_CHECK(r == 0 || r == -TG_ENOTCONN || r == -TG_ENOMEM);
	x->shut = r == 0;
	if (r == -TG_ENOMEM)
		retry_later(x);
	else if (r) /* it has ended: reading tells why */
		x->can_read = true;
}

/* What is to be done once everything is written. */
static void finish(uint32_t i, unsigned e)
{
	struct flow_end *x = end_of(i, e);
	const struct end_plan *p = plan_of(i, e);
	int r;

	if (p->close_together) {
		if (all_done(i, 0) && all_done(i, 1)) {
			end_close(i, 0);
			end_close(i, 1);
		} else if (sim->flow[i].disturbed && x->eof) {
			end_close(i, e);
		}
		return;
	}
	switch ((enum finish)p->finish) {
	case FINISH_SHUTDOWN:
	case FINISH_ABORT: shut(x); break;
	case FINISH_EARLY: end_close(i, e); return;
	case FINISH_RESET:
		r = tg_sock_setopt(host_of(x), x->k, TG_SO_LINGER, 0, sim->now_ns);
		SIM_CHECK(r == 0 || r == -TG_ENOMEM);
		if (r) {
			retry_later(x);
			return;
		}
		flow_disturb(i);
		end_close(i, e);
		return;
	case FINISH_LAST: break;
	}
	if (x->eof)
		end_close(i, e);
}

static bool connected(uint32_t i, unsigned e)
{
	struct flow_end *x = end_of(i, e);
	unsigned ready = tg_sock_ready(host_of(x), x->k);
	int64_t error = 0;

	if (x->state == END_OPEN)
		return true;
	if (ready & (TG_ERR | TG_HUP)) {
		SIM_CHECK(tg_sock_getopt(host_of(x), x->k, TG_SO_ERROR, &error) == 0);
		SIM_CHECK(error > 0);
		end_error(i, e, (int)error);
		return false;
	}
	if (!(ready & TG_OUT))
		return false;
	x->state = END_OPEN;
	sim_progress();
	return true;
}

/* CLOSE or ABORT in SYN-SENT or SYN-RECEIVED. */
static void lose_patience(uint32_t i, unsigned e)
{
	flow_disturb(i);
	end_of(i, e)->cut = true;
	if (sim_chance(&end_of(i, e)->rng, 50))
		end_close(i, e);
	else
		end_abort(i, e);
}

static void turn(uint32_t i, unsigned e)
{
	struct flow_end *x = end_of(i, e);
	const struct end_plan *p = plan_of(i, e);

	if (!connected(i, e)) {
		if (x->state == END_CONNECTING && p->impatient_ns)
			lose_patience(i, e);
		return;
	}
	for (uint32_t n = 0; n < TURN_CALLS && x->state == END_OPEN && x->wake_ns == NEVER_NS;
		n++) {
		bool write = x->can_write && x->sent < p->bytes, read = x->can_read && !x->eof;

		if (p->finish == FINISH_ABORT && x->sent + x->received >= p->abort_bytes) {
			end_abort(i, e);
			return;
		}
		if (!write && !read)
			break;
		if (write && (!read || sim_chance(&x->rng, 50)))
			write_some(i, e);
		else
			read_some(i, e);
		if (n + 1 == TURN_CALLS && x->wake_ns == NEVER_NS)
			x->wake_ns = sim->now_ns;
	}
	if (x->state == END_OPEN && x->sent == p->bytes)
		finish(i, e);
}

void flow_event(uint32_t i, unsigned e, unsigned events)
{
	struct flow_end *x = end_of(i, e);

	if (x->state == END_DONE)
		return;
	if (events & (TG_IN | TG_RDHUP | TG_ERR | TG_HUP))
		x->can_read = true;
	if (events & (TG_OUT | TG_ERR | TG_HUP))
		x->can_write = true;
	if (x->wake_ns == NEVER_NS)
		turn(i, e);
}

void flow_accepted(uint32_t i, tg_sock k)
{
	struct tg *s = sim->host[sim->plan.flow[i].host[1]].s;
	struct flow_end *x;

	x = end_of(i, 1);
	if (sim->flow[i].done || x->state != END_WAITING) {
		/* old duplicates of SYN and ACK together make a connection if every one has the
		 * same initial numbers */
		SIM_CHECK(sim->flow[i].disturbed ||
			  sim->plan.host[sim->plan.flow[i].host[1]].cfg.tcp.isn_fixed);
		tg_sock_abort(s, k, sim->now_ns);
		return;
	}
	x->k = k;
	x->state = END_OPEN;
	SIM_CHECK(tg_sock_setopt(s, k, TG_TCP_USER_COOKIE, (int64_t)(1ull << 32 | (2 * i + 1)),
			  sim->now_ns) == 0);
	SIM_CHECK(tg_sock_setopt(s, k, TG_TCP_NODELAY, plan_of(i, 1)->nodelay, sim->now_ns) == 0);
	SIM_CHECK(
		tg_sock_setopt(s, k, TG_SO_KEEPALIVE, plan_of(i, 1)->keepalive, sim->now_ns) == 0);
	sim_progress();
}

/* ---- Timers ---- */

/* When the passive side of a flow that has not been accepted yet may have given up, for want of
 * packets that arrive; NEVER_NS: it may not. */
static uint64_t give_up_accept_ns(const struct flow *f)
{
	if (!sim->plan.very_lossy || f->end[1].state != END_WAITING || f->disturbed)
		return NEVER_NS;
	return f->started_ns + ACCEPT_NS;
}

static uint64_t end_next_ns(const struct flow *f, unsigned e)
{
	uint64_t give_up_ns = f->disturbed ? f->disturbed_ns + GIVE_UP_NS : NEVER_NS;

	if (f->end[e].state == END_DONE)
		return NEVER_NS;
	return min_u64(f->end[e].wake_ns, min_u64(give_up_ns, give_up_accept_ns(f)));
}

uint64_t flows_next_ns(void)
{
	uint64_t t = NEVER_NS;

	for (uint32_t i = 0; i < sim->plan.n_flows; i++) {
		const struct flow *f = &sim->flow[i];

		if (f->started && !f->done)
			t = min_u64(t, min_u64(end_next_ns(f, 0), end_next_ns(f, 1)));
	}
	return t;
}

static void wake_end(uint32_t i, unsigned e)
{
	struct flow *f = &sim->flow[i];

	if (end_next_ns(f, e) > sim->now_ns)
		return;
	if (give_up_accept_ns(f) <= sim->now_ns)
		flow_disturb(i);
	if (f->disturbed && f->disturbed_ns + GIVE_UP_NS <= sim->now_ns) {
		end_abort(i, e);
		return;
	}
	f->end[e].wake_ns = NEVER_NS;
	if (f->end[e].state != END_WAITING) /* has no socket yet */
		turn(i, e);
}

void flows_run(void)
{
	for (uint32_t i = 0; i < sim->plan.n_flows && !sim->failed; i++) {
		if (!sim->flow[i].started || sim->flow[i].done)
			continue;
		wake_end(i, 0);
		wake_end(i, 1);
	}
}
