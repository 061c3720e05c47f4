/* The way in from 127.0.0.1: connections accepted there are carried to the stack's port 80, through
 * the kernel's TCP on the link where there is a kernel on it, else through the TCP of the other
 * instance. */
#ifndef TAPGLASS_APPS_RELAY_H
#define TAPGLASS_APPS_RELAY_H

#include "link.h"

#define RELAY_CONNS_MAX 128u

struct relay;

/* Carries what is accepted on l->relay_fd to port of the stack. NULL: out of memory. */
struct relay *relay_start(struct link *l, uint16_t port);
/* For the other instance's struct tg_host_app: r may be NULL. */
void relay_event(struct relay *r, const struct tg_event *e, uint64_t now_ns);
/* After every round. Returns when to be called again, ns. */
uint64_t relay_round(struct relay *r, uint64_t now_ns);
/* Resets what is open. Before link_close. */
void relay_free(struct relay *r);

#endif
