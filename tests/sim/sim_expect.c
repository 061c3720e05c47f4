/* What a flow may meet with in its world though the stacks are right: errors, and a peer of whom
 * nothing comes any more. */
#include "sim.h"

/* A user timeout counts at a closed window too [5482 3]: its owner gives up, the peer is reset. */
static bool user_gave_up(uint32_t i, unsigned e, int error)
{
	const struct flow_plan *f = &sim->plan.flow[i];

	if (f->end[e].user_timeout_ns && error == TG_ETIMEDOUT)
		return true;
	return f->end[e ^ 1].user_timeout_ns && (error == TG_ECONNRESET || error == TG_EPIPE);
}

bool flow_error_explained(uint32_t i, unsigned e, int error)
{
	const struct flow_end *x = &sim->flow[i].end[e];
	const struct plan *p = &sim->plan;

	if (p->flow[i].kind == OPEN_REFUSED && error == TG_ECONNREFUSED)
		return true;
	if (user_gave_up(i, e, error))
		return true;
	if (sim->flow[i].disturbed)
		return error == TG_ECONNRESET || error == TG_EPIPE || error == TG_ECONNREFUSED ||
		       error == TG_ETIMEDOUT || error == TG_EHOSTUNREACH;
	/* a short table of half-open connections, full */
	if (x->state == END_CONNECTING && error == TG_ETIMEDOUT &&
		p->host[p->flow[i].host[!e]].cfg.tcp.max_half_open < 10)
		return true;
	/* ... whose oldest entry gave way: what we took for a connection is none */
	if (error == TG_ECONNRESET && x->received == 0 &&
		p->host[p->flow[i].host[!e]].cfg.tcp.max_half_open < 10)
		return true;
	/* ... or our first text came by a cookie when there was no memory for the connection: what
	 * followed it is no cookie */
	if (error == TG_ECONNRESET && x->received == 0 &&
		p->host[p->flow[i].host[!e]].fail_until_ns &&
		p->host[p->flow[i].host[!e]].cfg.tcp.syncookies)
		return true;
	if (x->state == END_CONNECTING && p->lossy && error == TG_EHOSTUNREACH)
		return true;
	/* the peer closed long ago, and FIN-WAIT-2 of one that nobody holds ends after a while */
	if (p->flow[i].end[e ^ 1].finish == FINISH_EARLY &&
		sim->flow[i].end[e ^ 1].state == END_DONE &&
		x->received == p->flow[i].end[e ^ 1].bytes &&
		(error == TG_EPIPE || error == TG_ECONNRESET))
		return true;
	/* the passive side gave up on its half-open connection: R2 of a SYN-ACK */
	if (p->very_lossy && error == TG_ECONNRESET && sim->flow[i].end[1].state == END_WAITING)
		return true;
	/* the peer's user closed, and what was left of its connection gave up after R2 */
	if (p->very_lossy && sim->flow[i].end[e ^ 1].state == END_DONE &&
		(error == TG_ECONNRESET || error == TG_EPIPE))
		return true;
	/* ... or gave up at our closed window, so slowly do we read [6429 3] */
	if (p->flow[i].end[e].pause_bytes && sim->flow[i].end[e ^ 1].state == END_DONE &&
		sim->now_ns - sim->flow[i].started_ns >
			p->host[p->flow[i].host[!e]].cfg.tcp.r2_ns &&
		(error == TG_ECONNRESET || error == TG_EPIPE))
		return true;
	return p->very_lossy && (error == TG_ETIMEDOUT || error == TG_EHOSTUNREACH);
}

/* The passive side has nothing of a connection whose active end took it for made: the half-open
 * entry gave way to another, or the ACK came with a cookie when there was no memory. And nobody
 * finds out: the user of the active end has nothing to say, or had left when its text was reset. */
static bool taken_for_made(uint32_t i)
{
	const struct flow_plan *f = &sim->plan.flow[i];
	const struct host_plan *passive = &sim->plan.host[f->host[1]];

	if (sim->flow[i].end[1].state != END_WAITING)
		return false;
	if (f->end[0].bytes && sim->flow[i].end[0].state != END_DONE)
		return false;
	return passive->cfg.tcp.max_half_open < 10 ||
	       (passive->cfg.tcp.syncookies && passive->fail_until_ns);
}

bool flow_stall_explained(uint32_t i)
{
	const struct flow *f = &sim->flow[i];

	/* the peer closed, its connection gave up after R2, and the reset was lost */
	if (sim->plan.very_lossy && (f->end[0].state == END_DONE || f->end[1].state == END_DONE))
		return true;
	return taken_for_made(i);
}
