/* Brings up links. `auto` is a ladder: the first rung that carries wins, and each one that did not
 * says why. */
#define _GNU_SOURCE 1
#include "link.h"
#include "link_attempt.h"

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

#define OWN_TAP      "tg0"
#define PRIVATE_TAP  "tap0"
#define PRIVATE_VETH "veth0"
#define RELAY_TRIES  20

/* 0, or -errno with err filled in. Nothing is left behind by a rung that failed. */
struct rung {
	const char *name;
	int (*climb)(struct attempt *t, struct tg_host_error *err);
};

/* ---- Addresses ------------------------------------------------------------------------------- */

static void addresses_set(struct link *l, const struct options *o, uint32_t net)
{
	uint32_t stack = o->has_addr ? o->addr : net + 2;

	l->host_ip = tg_ip4_of(net + 1);
	l->stack_ip = tg_ip4_of(stack);
	l->prefix_len = o->prefix_len;
	memcpy(l->mac, (uint8_t[6]){0x02, 0, 0, 0, 0, (uint8_t)stack}, 6);
}

/* An interface that has an address already says what the network is, unless somebody else does. */
static bool addresses_adopt(struct attempt *t, const char *tap)
{
	struct link *l = t->link;
	struct tg_tap_info info;
	uint32_t host, net, stack;

	if (t->opt->has_net || t->opt->has_addr || !tg_host_tap_info(tap, &info) ||
		!info.has_addr || info.prefix_len < 8 || info.prefix_len > 30) {
		return false;
	}
	host = tg_ip4_value(&info.addr);
	net = host & ~UINT32_C(0) << (32 - info.prefix_len);
	stack = host == net + 2 ? net + 1 : net + 2;
	l->host_ip = info.addr;
	l->stack_ip = tg_ip4_of(stack);
	l->prefix_len = info.prefix_len;
	memcpy(l->mac, (uint8_t[6]){0x02, 0, 0, 0, 0, (uint8_t)stack}, 6);
	return true;
}

/* On a link to the kernel: a network that the kernel does not reach otherwise. */
static int addresses_choose(struct attempt *t, const char *tap, struct tg_host_error *err)
{
	const struct options *o = t->opt;
	char why[160], ifname[16], what[200], dotted[16];
	struct tg_ip ip = tg_ip4_of(o->net);
	uint32_t net = o->net;

	if (addresses_adopt(t, tap)) {
		return 0;
	}
	if (!o->has_net && !o->has_addr) {
		if (!net_choose(NET_ROUTES_PATH, &net, o->prefix_len, tap, why)) {
			link_error(err, EADDRINUSE, "no free network for the link", why,
				"name one with --net, for instance --net 10.9.0.0/24");
			return -EADDRINUSE;
		}
		if (why[0] != '\0' && !o->quiet) {
			say("%s", why);
		}
	} else if (net_routed(NET_ROUTES_PATH, net, o->prefix_len, tap, ifname)) {
		snprintf(what, sizeof what, "%s/%u is already routed via %s",
			tg_ip_format(&ip, dotted), o->prefix_len, ifname);
		link_error(err, EADDRINUSE, what,
			"the stack would hide addresses that this machine reaches there",
			"choose another network with --net");
		return -EADDRINUSE;
	}
	addresses_set(t->link, o, net);
	return 0;
}

/* ---- Instances ------------------------------------------------------------------------------- */

static void device_options(struct attempt *t)
{
	const struct options *o = t->opt;

	tg_link_options_default(&t->dev);
	memcpy(t->dev.mac, t->link->mac, 6);
	t->dev.mtu = o->mtu;
	t->dev.plain = o->plain;
	t->dev.big = o->big_tcp;
	t->dev.in = o->in;
	t->dev.out = o->out;
	t->dev.capture = t->link->capture;
	t->dev.queues = o->queues;
	if (o->has_seed) {
		seed_expand(~o->seed, t->dev.impair_seed, sizeof t->dev.impair_seed);
	} else {
		tg_host_random(t->dev.impair_seed, sizeof t->dev.impair_seed);
	}
}

static int stack_configure(struct link *l)
{
	return link_configure(l, l->stack, (unsigned)l->netif);
}

/* ---- Rungs ----------------------------------------------------------------------------------- */

/* The stack's instance, made by the first rung that needs it. */
static int stack_make(struct attempt *t, struct tg_host_error *err)
{
	bool made = t->link->stack == NULL;
	int rc = made ? link_instance(t, t->link->host, t->app, 0, 0, &t->link->stack) : 0;

	if (rc < 0) {
		link_error(err, -rc, "cannot make an instance", "out of memory or address space",
			"look at ulimit -v");
		return rc;
	}
	if (made && t->opt->record != NULL) {
		rc = tg_host_record(t->link->host, t->link->stack, t->opt->record, 0, err);
		t->no_record = rc < 0;
	}
	return rc;
}

static int on_tap(struct attempt *t, const char *name, struct tg_host_error *err)
{
	struct link *l = t->link;
	int rc = addresses_choose(t, name, err);

	if (rc == 0) {
		rc = stack_make(t, err);
	}
	if (rc < 0) {
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
	rc = stack_configure(l);
	return rc < 0 ? rc : link_queues_open(t, err);
}

static bool may_administer(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{0}};

	return syscall(SYS_capget, &h, d) == 0 && (d[0].effective & 1u << CAP_NET_ADMIN) != 0;
}

/* The TAP that `tapglass setup` leaves behind, if it is ours. */
static int climb_own(struct attempt *t, struct tg_host_error *err)
{
	struct tg_tap_info info;
	char why[80];

	if (!tg_host_tap_info(OWN_TAP, &info) || !info.is_tap) {
		link_error(err, ENODEV, "there is no TAP " OWN_TAP, "nobody has run setup yet",
			"sudo tapglass setup");
		t->expected = true;
		return -ENODEV;
	}
	if (info.owner != (int64_t)geteuid()) {
		snprintf(why, sizeof why, "tap \"" OWN_TAP "\" belongs to uid %lld",
			(long long)info.owner);
		link_error(err, EPERM, "TAP " OWN_TAP " is not ours", why,
			"sudo tapglass setup --undo, then sudo tapglass setup");
		t->expected = true;
		return -EPERM;
	}
	return on_tap(t, OWN_TAP, err);
}

/* With the privilege: a TAP in the network namespace that we are in. */
static int climb_tap(struct attempt *t, struct tg_host_error *err)
{
	char name[16];

	if (!may_administer()) {
		link_error(err, EPERM, "cannot make a TAP here", "this needs CAP_NET_ADMIN",
			"run it with sudo, or name a TAP of your own with --link tap:NAME");
		t->expected = true;
		return -EPERM;
	}
	for (int i = 0; i < AUTO_TAPS_MAX; i++) {
		snprintf(name, sizeof name, "tap%d", i);
		if (if_nametoindex(name) == 0) {
			return on_tap(t, name, err);
		}
	}
	link_error(err, EBUSY, "cannot make a TAP here", "tap0 to tap15 all exist",
		"name one with --link tap:NAME");
	return -EBUSY;
}

static int climb_named_tap(struct attempt *t, struct tg_host_error *err)
{
	return on_tap(t, t->opt->tap, err);
}

/* Where the stack is out of a browser's reach, there is a way in from 127.0.0.1. It is opened
 * before the namespace is left in which that is this machine's. */
static int relay_listen(struct attempt *t, struct tg_host_error *err)
{
	const struct options *o = t->opt;
	struct link *l = t->link;
	struct tg_host_error told;

	if (o->relay_port <= 0 || l->relay_fd >= 0 || t->no_relay) {
		return 0;
	}
	l->relay_fd = tg_host_listen_local(
		(uint16_t)o->relay_port, o->relay_asked ? 1 : RELAY_TRIES, &l->relay_port, &told);
	if (l->relay_fd < 0) {
		l->relay_fd = -1;
		t->no_relay = true;
		if (o->relay_asked) {
			*err = told;
			return -told.errnum;
		}
		snprintf(
			told.meanwhile, sizeof told.meanwhile, "there is no way in from 127.0.0.1");
	}
	if (told.errnum != 0 && !o->quiet) {
		tg_host_print_error(&told);
	}
	return 0;
}

/* Without any: interfaces in a namespace of our own. */
static int private_enter(struct attempt *t, struct tg_host_error *err)
{
	int rc;

	if (t->link->where == LINK_IN_PRIVATE) {
		return 0;
	}
	rc = relay_listen(t, err);
	if (rc == 0) {
		rc = tg_host_private(err);
		t->no_private = rc < 0;
	}
	if (rc == 0) {
		t->link->where = LINK_IN_PRIVATE;
	}
	return rc;
}

static int climb_private(struct attempt *t, struct tg_host_error *err)
{
	int rc = private_enter(t, err);

	return rc < 0 ? rc : on_tap(t, PRIVATE_TAP, err);
}

static int climb_veth(struct attempt *t, struct tg_host_error *err)
{
	struct link *l = t->link;
	int rc = private_enter(t, err);

	if (rc == 0) {
		rc = addresses_choose(t, PRIVATE_VETH, err);
	}
	if (rc == 0) {
		rc = stack_make(t, err);
	}
	if (rc < 0) {
		return rc;
	}
	device_options(t);
	rc = tg_host_veth(
		l->host, l->stack, PRIVATE_VETH, &l->host_ip, l->prefix_len, &t->dev, err);
	if (rc < 0) {
		return rc;
	}
	l->netif = rc;
	l->veth = l->made = true;
	snprintf(l->name, sizeof l->name, "%s", PRIVATE_VETH);
	return stack_configure(l);
}

/* Two instances on a virtual wire: always possible. */
static int climb_sim(struct attempt *t, struct tg_host_error *err)
{
	struct link *l = t->link;
	struct tg_link_options far;
	int netif[2], rc = 0;

	rc = relay_listen(t, err);
	if (rc < 0) {
		return rc;
	}
	addresses_set(l, t->opt, t->opt->net);
	rc = stack_make(t, err);
	if (rc == 0) {
		rc = link_instance(t, l->host, t->peer_app, 1, 0, &l->peer);
	}
	if (t->no_record) {
		return rc;
	}
	if (rc < 0) {
		link_error(err, -rc, "cannot make two instances", "out of memory or address space",
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
		link_error(err, -rc, "cannot join two instances", "", "");
		return rc;
	}
	l->where = LINK_IN_PROCESS;
	l->netif = netif[0];
	l->peer_netif = netif[1];
	snprintf(l->name, sizeof l->name, "sim");
	rc = tg_addr_add(l->peer, (unsigned)netif[1], &l->host_ip, l->prefix_len, tg_host_now());
	return rc < 0 ? rc : stack_configure(l);
}

static const struct rung ladder[RUNG_COUNT] = {
	[RUNG_OWN] = {"your own TAP " OWN_TAP, climb_own},
	[RUNG_TAP] = {"a TAP in this network namespace", climb_tap},
	[RUNG_PRIVATE] = {"a private namespace with a TAP", climb_private},
	[RUNG_VETH] = {"a veth pair", climb_veth},
	[RUNG_SIM] = {"the sim link: two stacks in this process", climb_sim},
};
static const struct rung named_tap = {"the TAP", climb_named_tap};

const char *link_rung_text(enum link_rung r)
{
	return ladder[r].name;
}

/* 0; -errno with err filled in, whatever the rung left out. */
static int climb_rung(struct attempt *t, const struct rung *r, struct tg_host_error *err)
{
	int rc;

	link_error(err, 0, "", "", "");
	t->expected = false;
	rc = r->climb(t, err);
	if (rc < 0 && err->what[0] == '\0') {
		link_error(err, -rc, "cannot configure the link", "", "");
	}
	return rc < 0 ? rc : 0;
}

/* The rungs from..to of the ladder, one after the other. */
static int climb(struct attempt *t, int from, int to)
{
	struct tg_host_error err;

	for (int i = from; i <= to; i++) {
		int rc = climb_rung(t, &ladder[i], &err), next = i + 1;

		if (rc == 0) {
			return EXIT_OK;
		}
		if (next == RUNG_VETH && t->no_private) {
			next++;
		}
		/* The person chose a network, a port or a file that cannot be: no other rung is
		 * what was asked for. */
		if ((rc == -EADDRINUSE && t->opt->has_net) ||
			(t->no_relay && t->opt->relay_asked) || t->no_record || t->no_queues) {
			next = to + 1;
		}
		if (next <= to && err.meanwhile[0] == '\0') {
			snprintf(
				err.meanwhile, sizeof err.meanwhile, "using %s", ladder[next].name);
		}
		if (next > to || (!t->expected && !t->opt->quiet)) {
			tg_host_print_error(&err);
		}
		i = next - 1;
	}
	return EXIT_ENVIRONMENT;
}

static int climb_as_told(struct attempt *t)
{
	bool only_tap = t->opt->queues > 1;
	struct tg_host_error err;

	switch (t->opt->link) {
	case LINK_AUTO: return climb(t, RUNG_OWN, only_tap ? RUNG_PRIVATE : RUNG_SIM);
	case LINK_PRIVATE: return climb(t, RUNG_PRIVATE, only_tap ? RUNG_PRIVATE : RUNG_VETH);
	case LINK_VETH: return climb(t, RUNG_VETH, RUNG_VETH);
	case LINK_SIM: return climb(t, RUNG_SIM, RUNG_SIM);
	case LINK_TAP: break;
	}
	if (climb_rung(t, &named_tap, &err) == 0) {
		return EXIT_OK;
	}
	tg_host_print_error(&err);
	return EXIT_ENVIRONMENT;
}

int link_try(enum link_rung r, const struct options *o, struct tg_host_error *err)
{
	struct link l = {.relay_fd = -1};
	struct attempt t = {.link = &l, .opt = o};

	l.host = tg_host_new();
	if (l.host == NULL) {
		link_error(err, ENOMEM, "out of memory or descriptors", "", "");
		return -ENOMEM;
	}
	return climb_rung(&t, &ladder[r], err);
}

int link_open(struct link *l, const struct options *o, const struct tg_host_app *app)
{
	return link_open_with(l, o, app, NULL);
}

int link_open_with(struct link *l, const struct options *o, const struct tg_host_app *app,
	const struct tg_host_app *peer_app)
{
	return link_open_queues(l, o, app, peer_app, NULL);
}

int link_open_queues(struct link *l, const struct options *o, const struct tg_host_app *app,
	const struct tg_host_app *peer_app, const struct tg_host_app *queue_apps)
{
	struct attempt t = {
		.link = l, .opt = o, .app = app, .peer_app = peer_app, .queue_apps = queue_apps};
	struct tg_host_error err;
	int rc;

	memset(l, 0, sizeof *l);
	l->relay_fd = -1;
	l->n_queues = 1;
	link_share_key(&t);
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
	rc = climb_as_told(&t);
	if (rc == EXIT_OK && l->capture != NULL) {
		tg_capture_name(l->capture, &l->stack_ip, "stack");
		tg_capture_name(l->capture, &l->host_ip, "host");
	}
	if (rc == EXIT_OK && o->has_seed && l->peer == NULL) {
		say("warning: with --seed, whoever knows the seed can predict sequence numbers and "
		    "ports on this live link");
	}
	l->mtu = o->mtu != 0 ? o->mtu : 1500;
	if (rc == EXIT_OK && tg_host_drop_privileges() < 0) {
		rc = failure("cannot give up privileges: %s", errno_text(errno));
	}
	return rc;
}

int link_close(struct link *l, const struct options *o)
{
	int rc = EXIT_OK, failed;

	for (unsigned i = 1; i < l->n_queues; i++) {
		tg_host_free(l->queue[i].host);
	}
	if (l->host != NULL) {
		tg_host_free(l->host);
		if (l->relay_fd >= 0) {
			close(l->relay_fd);
		}
	}
	if (l->capture != NULL) {
		failed = tg_capture_close(l->capture);
		if (failed < 0) {
			rc = failure(
				"the capture %s is incomplete: %s", o->pcap, errno_text(failed));
		}
	}
	memset(l, 0, sizeof *l);
	l->relay_fd = -1;
	return rc;
}
