/* What a link shows to its captures: frames, held back until it is known what the instance made of
 * them, and then written with that as their comment. */
#ifndef TG_PORT_CAPTURE_HUB_H
#define TG_PORT_CAPTURE_HUB_H

#include "port/capture.h"

#define HUB_CAPTURES_MAX 8u

struct capture_hub;

/* Where a frame is seen: on the link, at the instance (behind the impairments), at both at once. */
enum hub_place { HUB_LINK = 1, HUB_STACK = 2, HUB_BOTH = 3 };

/* s: the instance whose trace tells; name: of the link; impaired: link and instance see different
 * packets. NULL: out of memory. */
struct capture_hub *hub_new(const struct tg *s, enum tg_link link, const char *name, bool impaired);
/* Its captures are let go. h may be NULL. */
void hub_free(struct capture_hub *h);

/* As tg_host_capture. h->drops are counted from here on. */
int hub_add(struct capture_hub *h, struct tg_capture *c);
/* False: it is not here. */
bool hub_remove(struct capture_hub *h, const struct tg_capture *c);
bool hub_is_empty(const struct capture_hub *h);

/* Takes a copy of f, which is about to be input, or has been transmitted. Returns the number of
 * packets in it. */
uint64_t hub_seen(struct capture_hub *h, enum hub_place at, bool out, const struct tg_frame *f,
	uint64_t first_id, uint64_t now_ns);
/* The frame seen last, about to be input, was made of so many of the wire: see tg_pkt.merged. */
void hub_merged(struct capture_hub *h, uint32_t frames);
/* A decision of an impairing device about the frame seen last, the packet with that id. */
void hub_impaired(struct capture_hub *h, enum tg_impair_what what, uint64_t id);
/* Packets lost so far on the link's way in and out. */
void hub_drops(struct capture_hub *h, uint64_t in, uint64_t out);
/* Writes what is held back. True: a reader has not taken all. */
bool hub_flush(struct capture_hub *h);

#endif
