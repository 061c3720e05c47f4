/* What the links and the loop need of a gate (gate.c). */
#ifndef TG_PORT_GATE_H
#define TG_PORT_GATE_H

#include "port/host.h"

/* A frame that a link has read waits. False: there is no room, it is lost. */
bool gate_hold(struct host_gate *g, const struct tg_pkt *meta, const uint8_t *data, int netif);
void gate_free(struct host_gate *g); /* NULL allowed */

#endif
