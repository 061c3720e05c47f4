/* Brings up links. `auto` is a ladder: the first rung that carries wins, and each one that did not
 * says why. */
#define _GNU_SOURCE 1
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net_choice.h"

#define AUTO_TAPS_MAX 16

struct attempt {
	struct link *link;
	const struct options *opt;
	const struct tg_host_app *app;
	struct tg_link_options dev;
};

/* 0, or -errno with err filled in. Nothing is left behind by a rung that failed. */
struct rung {
	const char *name;
	int (*climb)(struct attempt *t, struct tg_host_error *err);
};

static void error_set(
	struct tg_host_error *e, int errnum, const char *what, const char *why, const char *fix)
{
	memset(e, 0, sizeof *e);
	e->errnum = errnum;
	snprintf(e->what, sizeof e->what, "%s", what);
	snprintf(e->why, sizeof e->why, "%s", why);
	snprintf(e->fix, sizeof e->fix, "%s", fix);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static void addresses_set(struct link *l, const struct options *o, uint32_t net)
{
	uint32_t stack = o->has_addr ? o->addr : net + 2;

	l->host_ip = tg_ip4_of(net + 1);
	l->stack_ip = tg_ip4_of(stack);
	l->prefix_len = o->prefix_len;
	memcpy(l->mac, (uint8_t[6]){0x02, 0, 0, 0, 0, (uint8_t)stack}, 6);
}

/* On a link to the kernel: a network that the kernel does not reach otherwise. */
static int addresses_choose(struct attempt *t, const char *tap, struct tg_host_error *err)
{
	const struct options *o = t->opt;
	char why[160], ifname[16], what[200], dotted[16];
	struct tg_ip ip = tg_ip4_of(o->net);
	uint32_t net = o->net;

	if (!o->has_net && !o->has_addr) {
		if (!net_choose(NET_ROUTES_PATH, &net, o->prefix_len, tap, why)) {
			error_set(err, EADDRINUSE, "no free network for the link", why,
				"name one with --net, for instance --net 10.9.0.0/24");
			return -EADDRINUSE;
		}
		if (why[0] != '\0' && !o->quiet) {
			say("%s", why);
		}
	} else if (net_routed(NET_ROUTES_PATH, net, o->prefix_len, tap, ifname)) {
		snprintf(what, sizeof what, "%s/%u is already routed via %s",
			tg_ip_format(&ip, dotted), o->prefix_len, ifname);
		error_set(err, EADDRINUSE, what,
			"the stack would hide addresses that this machine reaches there",
			"choose another network with --net");
		return -EADDRINUSE;
	}
	addresses_set(t->link, o, net);
	return 0;
}

/* ---- Instances ------------------------------------------------------------------------------- */

/* salt: makes the seeds of several instances differ. */
static int instance_add(
	struct attempt *t, const struct tg_host_app *app, uint64_t salt, struct tg **out)
{
	struct tg_config c;
	int rc = tg_host_config(&c);

	if (rc < 0) {
		return rc;
	}
	if (t->opt->has_seed) {
		seed_expand(t->opt->seed * 4 + salt, c.seed, sizeof c.seed);
	}
	return tg_host_add(t->link->host, &c, 0, app, out);
}

static void device_options(struct attempt *t)
{
	const struct options *o = t->opt;

	tg_link_options_default(&t->dev);
	memcpy(t->dev.mac, t->link->mac, 6);
	t->dev.mtu = o->mtu;
	t->dev.plain = o->plain;
	t->dev.in = o->in;
	t->dev.out = o->out;
	t->dev.capture = t->link->capture;
	if (o->has_seed) {
		seed_expand(~o->seed, t->dev.impair_seed, sizeof t->dev.impair_seed);
	} else {
		tg_host_random(t->dev.impair_seed, sizeof t->dev.impair_seed);
	}
}

static int stack_configure(struct link *l)
{
	struct tg_ip any = {{0}};
	uint64_t now = tg_host_now();
	int rc = tg_addr_add(l->stack, (unsigned)l->netif, &l->stack_ip, l->prefix_len, now);

	/* the host's end is the way to everywhere else */
	return rc < 0 ? rc
		      : tg_route_add(l->stack, &any, 0, &l->host_ip, (unsigned)l->netif, 0, now);
}

/* ---- Rungs ----------------------------------------------------------------------------------- */

static int on_tap(struct attempt *t, const char *name, struct tg_host_error *err)
{
	struct link *l = t->link;
	int rc = addresses_choose(t, name, err);

	if (rc < 0) {
		return rc;
	}
	if (l->stack == NULL) {
		rc = instance_add(t, t->app, 0, &l->stack);
	}
	if (rc < 0) {
		error_set(err, -rc, "cannot make an instance", "out of memory or address space",
			"look at ulimit -v");
		return rc;
	}
	device_options(t);
	l->made = if_nametoindex(name) == 0;
	rc = tg_host_tap(l->host, l->stack, name, &l->host_ip, l->prefix_len, &t->dev, err);
	if (rc < 0) {
		return rc;
	}
	l->netif = rc;
	snprintf(l->name, sizeof l->name, "%s", tg_host_link_name(l->host, l->stack, rc));
	return stack_configure(l);
}

static bool may_administer(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{0}};

	return syscall(SYS_capget, &h, d) == 0 && (d[0].effective & 1u << CAP_NET_ADMIN) != 0;
}

/* With the privilege: a TAP in the network namespace that we are in. */
static int climb_tap(struct attempt *t, struct tg_host_error *err)
{
	char name[16];

	if (!may_administer()) {
		error_set(err, EPERM, "cannot make a TAP here", "this needs CAP_NET_ADMIN",
			"run it with sudo, or name a TAP of your own with --link tap:NAME");
		return -EPERM;
	}
	for (int i = 0; i < AUTO_TAPS_MAX; i++) {
		snprintf(name, sizeof name, "tap%d", i);
		if (if_nametoindex(name) == 0) {
			return on_tap(t, name, err);
		}
	}
	error_set(err, EBUSY, "cannot make a TAP here", "tap0 to tap15 all exist",
		"name one with --link tap:NAME");
	return -EBUSY;
}

static int climb_named_tap(struct attempt *t, struct tg_host_error *err)
{
	return on_tap(t, t->opt->tap, err);
}

/* Two instances on a virtual wire: always possible. */
static int climb_sim(struct attempt *t, struct tg_host_error *err)
{
	struct link *l = t->link;
	struct tg_link_options far;
	int netif[2], rc = 0;

	addresses_set(l, t->opt, t->opt->net);
	if (l->stack == NULL) {
		rc = instance_add(t, t->app, 0, &l->stack);
	}
	if (rc == 0) {
		rc = instance_add(t, NULL, 1, &l->peer);
	}
	if (rc < 0) {
		error_set(err, -rc, "cannot make two instances", "out of memory or address space",
			"look at ulimit -v");
		return rc;
	}
	device_options(t);
	tg_link_options_default(&far);
	memcpy(far.mac, (uint8_t[6]){0x02, 0, 0, 0, 0, l->host_ip.b[15]}, 6);
	far.mtu = t->opt->mtu;
	far.plain = t->opt->plain;
	rc = tg_host_wire(l->host, l->stack, l->peer, &t->dev, &far, netif);
	if (rc < 0) {
		error_set(err, -rc, "cannot join two instances", "", "");
		return rc;
	}
	l->netif = netif[0];
	l->peer_netif = netif[1];
	snprintf(l->name, sizeof l->name, "sim");
	rc = tg_addr_add(l->peer, (unsigned)netif[1], &l->host_ip, l->prefix_len, tg_host_now());
	return rc < 0 ? rc : stack_configure(l);
}

static const struct rung ladder[] = {
	{"a TAP in this network namespace", climb_tap},
	{"sim: two stacks in this process", climb_sim},
};
static const struct rung named_tap = {"the TAP", climb_named_tap};

static int climb(struct attempt *t)
{
	const struct rung *r = ladder;
	size_t n = sizeof ladder / sizeof ladder[0];
	struct tg_host_error err;

	if (t->opt->link == LINK_TAP) {
		r = &named_tap;
		n = 1;
	} else if (t->opt->link == LINK_SIM) {
		r = &ladder[n - 1];
		n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		bool explicit_net;
		int rc;

		error_set(&err, 0, "", "", "");
		rc = r[i].climb(t, &err);
		if (rc >= 0) {
			return EXIT_OK;
		}
		if (err.what[0] == '\0') {
			error_set(&err, -rc, "cannot configure the link", "", "");
		}
		/* the person chose a network that cannot be: no other rung is what was asked for */
		explicit_net = rc == -EADDRINUSE && t->opt->has_net;
		if (i + 1 < n && !explicit_net && err.meanwhile[0] == '\0') {
			snprintf(err.meanwhile, sizeof err.meanwhile, "using %s", r[i + 1].name);
		}
		tg_host_print_error(&err);
		if (explicit_net) {
			break;
		}
	}
	return EXIT_ENVIRONMENT;
}

int link_open(struct link *l, const struct options *o, const struct tg_host_app *app)
{
	struct attempt t = {.link = l, .opt = o, .app = app};
	struct tg_host_error err;
	int rc;

	memset(l, 0, sizeof *l);
	l->host = tg_host_new();
	if (l->host == NULL) {
		return failure("out of memory or descriptors");
	}
	if (o->pcap != NULL) {
		l->capture = tg_capture_open(o->pcap, &err);
		if (l->capture == NULL) {
			tg_host_print_error(&err);
			return EXIT_FAILED;
		}
	}
	rc = climb(&t);
	if (rc == EXIT_OK && o->has_seed && l->peer == NULL) {
		say("warning: with --seed, whoever knows the seed can predict sequence numbers and "
		    "ports on this live link");
	}
	l->mtu = o->mtu != 0 ? o->mtu : 1500;
	return rc;
}

int link_close(struct link *l, const struct options *o)
{
	int rc = EXIT_OK, failed;

	if (l->host != NULL) {
		tg_host_free(l->host);
	}
	if (l->capture != NULL) {
		failed = tg_capture_close(l->capture);
		if (failed < 0) {
			rc = failure(
				"the capture %s is incomplete: %s", o->pcap, errno_text(failed));
		}
	}
	memset(l, 0, sizeof *l);
	return rc;
}
