/* Hosts with a queue each of one TAP, in a thread each: the rings between them, who sleeps, and
 * calls from one thread into another's loop. */
#ifndef TG_PORT_GROUP_H
#define TG_PORT_GROUP_H

#include "tapglass_host.h"

struct host_group;
struct tap_link;

/* Before its links go. */
void group_leave(struct tg_host *h);
/* A frame for instance `to` (TG_PASS_ALL: for all but this). False: no room. */
bool group_pass(struct tg_host *h, unsigned to, const struct tg_pkt *p);
/* Inputs what others have passed to the host's instance. Whether there was any. */
bool group_receive(struct tg_host *h);
/* The host is about to sleep. False: it must not, there is something to do. */
bool group_sleeps(struct tg_host *h);
void group_wakes(struct tg_host *h);
/* The descriptor below was readable. */
void group_woken(struct tg_host *h);
/* What the sleep ends with when somebody has something for the host; -1: nobody ever does. */
int group_wake_fd(const struct tg_host *h);
/* Makes the call that waits for the host's loop, if there is one. */
void group_run_call(struct tg_host *h);

#endif
