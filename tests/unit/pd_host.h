/* A small packetdrill: loads the adapter, plays the part of the two threads that packetdrill has,
 * injects and checks packets made here byte by byte, and reads the part of packetdrill's language
 * that most of tests/drill is written in. */
#ifndef TG_PD_HOST_H
#define TG_PD_HOST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "packetdrill/interface.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PD_LOCAL_IP  0xc0a80001u /* 192.168.0.1 */
#define PD_REMOTE_IP 0xc0000201u /* 192.0.2.1 */
#define PD_FLAGS     "192.168.0.1/16,192.0.2.0/24,mtu=1500"
#define PD_LONG_AGO  (-1000000000ll)

#define F_FIN 0x01
#define F_SYN 0x02
#define F_RST 0x04
#define F_PSH 0x08
#define F_ACK 0x10
#define F_URG 0x20
#define F_ECE 0x40
#define F_CWR 0x80

/* A packet, host order. */
struct seg {
	uint8_t proto; /* IPPROTO_*; 0: TCP */
	uint8_t flags, icmp_type, icmp_code;
	uint16_t sport, dport, win, urg;
	uint32_t seq, ack, len; /* len: bytes behind the header, all zero */
	uint32_t n_opts;
	uint8_t opts[40];
	const uint8_t *quote; /* of ICMP: what follows its header */
	uint32_t quote_bytes, icmp_rest;
	uint32_t src, dst; /* 0: the usual ones; of received ones as they were */
	/* of received ones */
	long long time_us;
	uint8_t raw[1600];
	uint32_t raw_bytes;
};

enum pd_syscall { PD_IDLE, PD_ENQUEUED, PD_RUNNING, PD_DONE };

struct pd_host;
typedef long (*pd_call)(struct pd_host *h, void *arg);

/* As packetdrill's: one lock, which is let go for sleeping and for calls that block. */
struct pd_host {
	void *so;
	struct packetdrill_interface ifc;
	void *u;
	long long start_us;
	pthread_mutex_t run;
	pthread_cond_t enqueued, dequeued, idle;
	pthread_t thread;
	int tid;
	atomic_bool quit;
	enum pd_syscall state;
	pd_call call;
	void *arg;
	long long call_us, end_us;
	long result;
	int error;
	int open_fd[32]; /* to be closed at the end, as packetdrill does */
	unsigned n_fds;
};

/* flags NULL is possible. */
void pd_open(struct pd_host *h, const char *flags);
void pd_close(struct pd_host *h);
/* Remembers a descriptor as open, or forgets it. */
int pd_keep(struct pd_host *h, int fd);
void pd_forget(struct pd_host *h, int fd);
/* Script time. */
long long pd_now_us(struct pd_host *h);
void pd_until(struct pd_host *h, long long us);
/* A blocking call on the other thread, which begins at that time. Returns when it is asleep or
 * done. */
void pd_block(struct pd_host *h, long long at_us, pd_call fn, void *arg);
/* False: it has not ended after a second. h->result, error, end_us. */
bool pd_await(struct pd_host *h);

/* pd_wire.c */
uint32_t seg_build(const struct seg *s, uint8_t *out);
/* Checks checksums, lengths, that the payload is zero; NULL, or what is wrong. */
const char *seg_parse(struct seg *s, const uint8_t *b, uint32_t n);
void pd_inject(struct pd_host *h, const struct seg *s);
/* False: none came. */
bool pd_receive(struct pd_host *h, struct seg *s);
/* It has to come and to have these flags and relative numbers; isn: our first number. */
void pd_expect(
	struct pd_host *h, struct seg *s, unsigned flags, uint32_t seq, uint32_t ack, uint32_t len);

/* pd_script.c */
enum pd_verdict { PD_PASSED, PD_FAILED, PD_NOT_READ };
/* Plays a script through the adapter; why: line and reason unless it passed. */
enum pd_verdict pd_script(const char *text, char *why, size_t why_bytes);

/* pd_conn.c: steps that many tests share. */
#define QUICK PD_FLAGS ",idle_ms=0"
extern struct pd_host pd_the_host;

/* An established connection, and what it takes to go on with it. */
struct conn {
	int fd;
	uint16_t lport, rport;
	uint32_t iss, snd, rcv; /* the stack's first number, its next, and the peer's next */
};

#define ADDR_LEN ((socklen_t)sizeof(struct sockaddr_in))
/* Good until the next call by the same thread. */
const struct sockaddr *addr(uint32_t ip, uint16_t port);
/* The call fails with that errno. */
#define FAILS(e, error)                                                                            \
	do {                                                                                       \
		errno = 0;                                                                         \
		ck_assert_int_eq((int)(e), -1);                                                    \
		ck_assert_int_eq(errno, error);                                                    \
	} while (0)

/* On port 8080, with a backlog of 1; flags for socket(). */
int listener(int flags);
struct seg from_peer(const struct conn *c, unsigned flags, uint32_t len);
/* The peer's side of a handshake, without options. */
void shake(struct conn *c, uint16_t rport);
struct conn established(void);
/* The peer sends; acknowledges. */
void give(struct conn *c, uint32_t len);
void confirm(struct conn *c);
void open_quick(void);
void close_host(void);

#endif
