/* What the files of link.h share while they bring a link up. */
#ifndef TAPGLASS_APPS_LINK_ATTEMPT_H
#define TAPGLASS_APPS_LINK_ATTEMPT_H

#include "link.h"

struct attempt {
	struct link *link;
	const struct options *opt;
	const struct tg_host_app *app, *peer_app, *queue_apps;
	uint8_t share_key[16];
	struct tg_link_options dev;
	bool no_relay;   /* no port is free for it */
	bool no_private; /* no namespace is to be had */
	bool no_queues;  /* not all queues are to be had */
	bool no_record;  /* the recording that was asked for cannot begin */
	bool expected;   /* the failure is an ordinary one, not worth a word */
};

void link_error(
	struct tg_host_error *e, int errnum, const char *what, const char *why, const char *fix);

/* link_queues.c */

/* Chooses the secret that says which queue a flow is for. */
void link_share_key(struct attempt *t);
/* Makes an instance on a host. salt: makes the seeds of several instances differ; queue: its
 * number.
 */
int link_instance(struct attempt *t, struct tg_host *h, const struct tg_host_app *app,
	uint64_t salt, unsigned queue, struct tg **out);
/* The link's address and the way to everywhere. */
int link_configure(const struct link *l, struct tg *s, unsigned netif);
/* The queues after the first. 0, or -errno with err filled in. */
int link_queues_open(struct attempt *t, struct tg_host_error *err);

#endif
