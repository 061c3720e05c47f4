/* The live world: our instance on a link, with the services of `up`; the peer is the host's kernel.
 * While the world is stopped frames wait at a gate and our clock stands; the host's does not. */
#define _GNU_SOURCE 1
#include "step_live.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "http_server.h"
#include "link.h"
#include "relay.h"
#include "serve_simple.h"

#define PORT_HTTP  80
#define LOOK_NS    (20 * NS_PER_MS) /* between two looks while the clock goes */
#define REMEMBERED 64u

/* A segment that came, to know it again. */
struct seen {
	uint32_t id, seq, bytes;
	uint16_t src, dst;
	uint8_t flags;
};

struct step_live_world {
	struct options *opt;
	struct link link;
	struct services services;
	struct simple_services *simple;
	struct http_server *http;
	struct relay *relay;
	struct control *control;
	int control_fd;
	char control_path[CONTROL_PATH_BYTES];
	char url[40], stack_ip[16], host_ip[16];
	struct seen seen[REMEMBERED];
	uint32_t n_seen, last_id; /* the last frame that was looked at */
};

/* ---- The instance's applications ------------------------------------------------------------- */

static void live_event(void *arg, struct tg *s, const struct tg_event *e, uint64_t now_ns)
{
	(void)arg;
	(void)s;
	svc_event(e, now_ns);
}

static uint64_t live_round(void *arg, struct tg *s, uint64_t now_ns)
{
	struct step_live_world *v = arg;

	(void)s;
	if (v->http != NULL) {
		svc_round(&v->services, now_ns);
		http_round(v->http, now_ns);
	}
	return UINT64_MAX;
}

/* ---- For the stepper ------------------------------------------------------------------------- */

static uint64_t world_now(void *arg)
{
	struct step_live_world *v = arg;

	return tg_host_gate_now(v->link.host, v->link.stack);
}

static uint32_t world_queued(void *arg)
{
	struct step_live_world *v = arg;

	return tg_host_gate_queued(v->link.host, v->link.stack);
}

static bool world_look(void *arg, uint32_t i, struct tg_step_frame *out)
{
	struct step_live_world *v = arg;
	struct tg_host_frame f;

	if (!tg_host_gate_look(v->link.host, v->link.stack, i, &f)) {
		return false;
	}
	out->id = f.id;
	out->link = TG_LINK_ETHERNET;
	out->data = f.data;
	out->bytes = f.bytes;
	out->netif = f.netif;
	out->gso_size = f.gso_size;
	out->gso = f.gso;
	out->csum = f.csum;
	return true;
}

static void world_take(void *arg, uint32_t i)
{
	struct step_live_world *v = arg;

	tg_host_gate_take(v->link.host, v->link.stack, i);
}

static void world_run(void *arg)
{
	struct step_live_world *v = arg;

	tg_host_gate_serve(v->link.host, v->link.stack);
}

/* ---- What the host does meanwhile ------------------------------------------------------------ */

/* Has this segment come before? Its number then; and it is remembered. */
static uint32_t seen_before(struct step_live_world *v, const struct tg_host_frame *f)
{
	struct packet p;
	struct seen now;

	packet_read(&p, TG_LINK_ETHERNET, f->data, f->bytes, f->bytes);
	if (!p.tcp || (p.text_bytes == 0 && !(p.flags & (PACKET_SYN | PACKET_FIN)))) {
		return 0;
	}
	now = (struct seen){f->id, p.seq, p.text_bytes, p.src.port, p.dst.port,
		(uint8_t)(p.flags & (PACKET_SYN | PACKET_FIN))};
	for (uint32_t i = 0; i < v->n_seen && i < REMEMBERED; i++) {
		const struct seen *o = &v->seen[i];

		if (o->seq == now.seq && o->bytes == now.bytes && o->src == now.src &&
			o->dst == now.dst && o->flags == now.flags) {
			return o->id;
		}
	}
	v->seen[v->n_seen++ % REMEMBERED] = now;
	return 0;
}

void live_meanwhile(struct repl *r)
{
	struct step_live_world *v = r->live;
	uint32_t n = world_queued(v), came = 0;
	struct tg_host_frame f;

	for (uint32_t i = 0; i < n && tg_host_gate_look(v->link.host, v->link.stack, i, &f); i++) {
		uint32_t first;

		if (f.id <= v->last_id) {
			continue;
		}
		v->last_id = f.id;
		came++;
		first = seen_before(v, &f);
		if (first != 0) {
			printf("  (meanwhile the host has sent #%" PRIu32 " again, as #%" PRIu32
			       ")\n",
				first, f.id);
		}
	}
	if (came > 1) {
		printf("  (%" PRIu32 " frames have come meanwhile; %" PRIu32 " wait)\n", came, n);
	}
}

/* Reads what the link has, for at most so long. */
static void look(struct step_live_world *v, uint64_t timeout_ns)
{
	tg_host_round(v->link.host, timeout_ns);
	relay_round(v->relay, tg_host_now());
	control_round(v->control, tg_host_now());
}

/* What nobody wants to stop for: ARP and IPv6, broadcasts, and timers of no connection. */
static bool is_noise(const struct repl *r, const struct tg_step_event *e)
{
	struct packet p;

	if (e->kind == TG_STEP_TIMER) {
		return e->timers == 0;
	}
	if (e->kind != TG_STEP_FRAME || e->frame == NULL) {
		return false;
	}
	packet_read(&p, (enum tg_link)e->link, e->frame, e->frame_here, e->frame_bytes);
	(void)r;
	return !p.ip || p.dst.ip.b[12] >= 224;
}

static bool is_due(const struct repl *r, const struct tg_step_event *e)
{
	return e->kind == TG_STEP_FRAME || e->kind == TG_STEP_CALL ||
	       (e->kind == TG_STEP_TIMER && e->time_ns <= tg_stepper_now(r->w));
}

/* Noise happens without being asked for, unless the past is being looked at. */
static void settle(struct repl *r)
{
	struct tg_step_event e;

	for (unsigned i = 0; i < 1000; i++) {
		if (tg_stepper_position(r->w) < tg_stepper_last(r->w)) {
			return;
		}
		tg_stepper_next(r->w, &e);
		if (!is_noise(r, &e) || !is_due(r, &e) || !tg_stepper_step(r->w, &e, NULL)) {
			return;
		}
	}
}

void live_look(struct repl *r)
{
	for (unsigned i = 0; i < 4; i++) {
		look(r->live, 0);
	}
	settle(r);
}

bool live_skips(const struct repl *r)
{
	struct tg_step_event e;

	tg_stepper_next(r->w, &e);
	return is_noise(r, &e);
}

void live_next(struct repl *r)
{
	bool past = tg_stepper_position(r->w) < tg_stepper_last(r->w);

	tg_stepper_next(r->w, &r->next);
	if (!past && is_noise(r, &r->next)) { /* not due yet: nobody is told of it */
		r->next.kind = TG_STEP_NOTHING;
	}
}

bool live_wait(struct repl *r, uint64_t until_ns, const volatile sig_atomic_t *interrupted)
{
	struct step_live_world *v = r->live;
	struct tg_host *h = v->link.host;
	struct tg_step_event e;

	for (;;) {
		uint64_t now, due, wait = LOOK_NS;

		settle(r);
		tg_stepper_next(r->w, &e);
		if (is_due(r, &e) && !is_noise(r, &e)) {
			return true;
		}
		now = world_now(v);
		if (*interrupted || now >= until_ns) {
			return false;
		}
		due = tg_next_deadline(v->link.stack);
		wait = due > now && due - now < wait ? due - now : wait;
		wait = until_ns - now < wait ? until_ns - now : wait;
		tg_host_gate_clock(h, v->link.stack, true);
		look(v, wait);
		tg_host_gate_clock(h, v->link.stack, false);
	}
}

/* ---- Making and ending ----------------------------------------------------------------------- */

static int services_start(struct step_live_world *v)
{
	struct http_config c = {.port = PORT_HTTP, .arg = v, .host = v->link.host};
	bool bad_www;
	int rc = 0;

	v->services.s = v->link.stack;
	v->simple = simple_start(&v->services, tg_host_now(), &rc);
	if (rc < 0) {
		return failure("cannot start echo, discard and chargen: %s", errno_text(rc));
	}
	tg_ip_format(&v->link.stack_ip, c.self);
	v->http = http_start(&v->services, &c, tg_host_now(), &rc, &bad_www);
	return v->http != NULL ? EXIT_OK : failure("cannot start http: %s", errno_text(rc));
}

/* The ways in that need no interface here, and that `tapglass sh` finds. */
static void doors_open(struct step_live_world *v)
{
	if (v->link.relay_fd >= 0) {
		snprintf(v->url, sizeof v->url, "http://127.0.0.1:%u/",
			(unsigned)v->link.relay_port);
		v->relay = relay_start(&v->link, PORT_HTTP);
	} else {
		snprintf(v->url, sizeof v->url, "http://%s/", v->stack_ip);
	}
	if (v->control_fd >= 0) {
		v->control = control_start(v->control_fd, &v->link, v->url);
	}
}

int live_open(struct repl *r, struct options *opt, struct tg_step_options *o)
{
	struct step_live_world *v = calloc(1, sizeof *v);
	struct tg_host_app app = {v, live_event, NULL, live_round};
	struct tg_step_live l = {.arg = v,
		.now = world_now,
		.queued = world_queued,
		.look = world_look,
		.take = world_take,
		.run = world_run};
	struct tg_host_error err;
	const char *why = NULL;
	int rc;

	if (v == NULL) {
		return failure("out of memory");
	}
	r->live = v;
	v->opt = opt;
	v->control_fd = -1;
	if (control_path(opt->name, v->control_path)) {
		v->control_fd = control_listen(v->control_path, &err);
	}
	signal(SIGPIPE, SIG_IGN);
	run_catch_end();
	rc = link_open_with(&v->link, opt, &app, NULL);
	if (rc == EXIT_OK && v->link.peer != NULL) {
		rc = failure(
			"step --live: there is no link to the host's kernel here (tapglass doctor "
			"says why); \"tapglass step\" is a lab without one");
	}
	rc = rc == EXIT_OK ? services_start(v) : rc;
	if (rc != EXIT_OK) {
		return rc;
	}
	tg_ip_format(&v->link.stack_ip, v->stack_ip);
	tg_ip_format(&v->link.host_ip, v->host_ip);
	doors_open(v);
	while (tg_next_deadline(v->link.stack) <= tg_host_now()) {
		tg_host_round(v->link.host, 0); /* ARP announcements and their like */
	}
	if (tg_host_gate(v->link.host, v->link.stack) < 0) {
		return failure("out of memory");
	}
	l.s = v->link.stack;
	r->w = tg_step_live(o, &l, &why);
	if (r->w == NULL) {
		return failure("step --live: %s", why);
	}
	printf("Live: our stack is %s, the host's kernel is %s. Frames of the host's wait until "
	       "you "
	       "step.\nOpen %s (or `tapglass sh`, then curl http://%s/), and type \"step\".\n",
		v->stack_ip, v->host_ip, v->url, v->stack_ip);
	return EXIT_OK;
}

int live_close(struct repl *r, int rc)
{
	struct step_live_world *v = r->live;
	int closed;

	if (v == NULL) {
		return rc;
	}
	if (v->control_fd >= 0) {
		control_unlink(v->control_path);
		control_free(v->control);
		close(v->control_fd);
	}
	relay_free(v->relay);
	closed = link_close(&v->link, v->opt);
	http_free(v->http);
	simple_free(v->simple);
	free(v);
	r->live = NULL;
	return rc != EXIT_OK ? rc : closed;
}
