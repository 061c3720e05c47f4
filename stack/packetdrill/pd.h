/* What the files of the packetdrill adapter share.
 *
 * pd_init   the one exported function: an instance for each script, its end
 * pd_flags  the text of --so_flags
 * pd_clock  virtual time, packets in and out, who waits
 * pd_calls  socket calls
 * pd_poll   poll, epoll, pipe, splice
 *
 * One lock for all. Two kinds of threads come in: the one that called init, which moves time and
 * packets, and one for calls that block. Virtual time stands still while a call of the latter is
 * under way and not asleep, and from its end until its thread has asked for the time: so a call
 * that an event ends has the event's time, however long the thread takes. */
#ifndef TG_PACKETDRILL_PD_H
#define TG_PACKETDRILL_PD_H

#include "packetdrill/interface.h"
#include "sock/bsd.h"

#include <pthread.h>

#define PD_FDS      1024
#define PD_PACKETS  65536u              /* emitted and not yet asked for, at most */
#define PD_START_NS (1000 * NS_PER_SEC) /* the clock when a script begins */
#define PD_ROUTES   8

/* What the flags say. */
struct pd_flags {
	struct tg_config cfg;
	uint32_t mtu;
	struct {
		uint32_t ip; /* host order */
		uint8_t prefix;
	} addr[PD_ROUTES], route[PD_ROUTES];
	unsigned n_addrs, n_routes;
	uint64_t patience_ns; /* how long netdev_receive lets time pass without a packet */
	uint32_t idle_ms;     /* real time; 0: never. See struct pd */
};

struct pd_packet {
	struct pd_packet *next;
	uint64_t time_ns;
	uint32_t bytes;
	uint8_t data[];
};

/* A call that sleeps. */
struct pd_waiter {
	struct pd_waiter *next;
	pthread_cond_t cond;
	const struct bsd_want *want;
	unsigned n;
	uint64_t deadline_ns;
	bool woken;
};

struct pd {
	pthread_mutex_t lock;
	pthread_cond_t still;  /* running, owes_end or inside has changed */
	pthread_t main_thread; /* it called init */
	struct pd_flags flags;
	uint64_t now_ns;

	struct tg *s;
	void *mem;
	size_t mem_bytes;
	unsigned netif;
	struct bsd b;
	struct bsd_file files[PD_FDS];
	int reserve_fd; /* what placeholders are duplicates of */

	struct pd_packet *first, **end;
	uint32_t n_packets;
	bool busy; /* a packet was refused */

	struct pd_waiter *waiters;
	unsigned inside;  /* calls of other threads under way */
	unsigned running; /* of these, not asleep */
	bool owes_end;    /* a call has ended whose thread has not asked for the time yet */
	pthread_t ower;
	/* The main thread's visits. If there are none for idle_ms while a call sleeps, nobody moves
	 * time any more, as at a script's end: the sleeper does. */
	uint64_t visits;
	bool closing;
};

/* pd_flags.c. False: why says what is not understood. */
bool pd_parse_flags(const char *text, struct pd_flags *f, char *why, size_t why_bytes);

/* pd_clock.c */
/* Locks. A call of another thread holds time until pd_leave, or while it does not sleep. */
void pd_enter(struct pd *p);
/* Sends what the call has caused; r, or -1 with errno. */
int64_t pd_leave(struct pd *p, int64_t r);
bool pd_wait(void *ctx, const struct bsd_want *w, unsigned n, uint64_t deadline_ns);
uint64_t pd_now(void *ctx);
bool pd_transmit(void *dev, const struct tg_frame *f);
/* Ends all sleep; false: a call is still under way after some time. */
bool pd_stop(struct pd *p);
void pd_clock_table(struct packetdrill_interface *ifc);

/* pd_calls.c */
/* Is fd a stack socket, or else the kernel's business? */
bool pd_is_ours(struct pd *p, int fd);
/* -1 with errno EBADF, or ENOTSOCK for a descriptor of the kernel's. */
int pd_not_ours(int fd);
int pd_new_fd(void *ctx);
void pd_free_fd(void *ctx, int fd);
void pd_calls_table(struct packetdrill_interface *ifc);

/* pd_poll.c */
void pd_poll_table(struct packetdrill_interface *ifc);

#endif
