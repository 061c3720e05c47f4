/* What the files of core/ share among themselves, and nobody else needs. */
#ifndef TG_CORE_IMPL_H
#define TG_CORE_IMPL_H

#include "core/core.h"

/* core.c: fires what is due at s->now_ns. */
void timers_fire(struct tg *s);
/* event.c: the first page of slots. False: no memory. */
bool handle_init(struct tg *s);
/* pkt.c: allocates the reader's reserve. False: no memory. */
bool pkt_reserve_init(struct tg *s);
/* netif.c */
void netif_add_loopback(struct tg *s);
/* Sends the waiting control frames of every interface, until its device is busy. */
void netif_flush(struct tg *s);
/* Takes the oldest loopback frame off the queue; NULL: none. */
struct tg_pkt *loopback_pop(struct tg *s);
/* Is a control frame waiting that a device would take, or a loopback frame? */
bool netif_has_work(const struct tg *s);
/* Offers f to the device and counts it; marks the interface busy when it is not taken. */
bool netif_emit(struct tg *s, struct netif *n, const struct tg_frame *f);
/* pass.c: hands over what waits for other instances. */
void netif_pass_flush(struct tg *s);
/* record.c: the reader takes a packet (p NULL: there was none), or gives one back. */
void record_pkt_alloc(struct tg *s, const struct tg_pkt *p, uint32_t bytes);
void record_pkt_free(struct tg *s, const struct tg_pkt *p);
/* What became of a frame offered to n's device. */
void record_transmit(struct tg *s, const struct netif *n, const struct tg_frame *f, bool taken);
/* What became of a frame offered to another instance. */
void record_pass(struct tg *s, const struct netif *n, const struct tg_pkt *p, bool taken);
/* gso.c: sends a super-frame in pieces, as the device lacks the capability. */
enum tx_result gso_transmit(struct tg *s, struct netif *n, struct tx *t);
/* input.c: one frame, from the count to the verdict. Takes p. */
void receive(struct tg *s, struct netif *n, struct tg_pkt *p);

#endif
