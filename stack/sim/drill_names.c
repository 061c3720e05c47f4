/* The packet-script engine: the names that scripts give to numbers, as Linux has them for socket
 * calls, whether or not the stack does anything about them, and those of errors. */
#include "sim/drill.h"

struct constant {
	const char *name;
	uint32_t value;
};

/* clang-format off */
static const struct constant constants[] = {
	{"AF_UNSPEC", 0}, {"AF_UNIX", 1}, {"AF_INET", 2}, {"AF_INET6", 10}, {"PF_UNSPEC", 0},
	{"PF_INET", 2}, {"PF_INET6", 10}, {"SOCK_STREAM", 1}, {"SOCK_DGRAM", 2},
	{"SOCK_RAW", 3}, {"SOCK_NONBLOCK", 0x800}, {"SOCK_CLOEXEC", 0x80000},
	{"IPPROTO_IP", 0}, {"IPPROTO_ICMP", 1}, {"IPPROTO_TCP", 6}, {"IPPROTO_UDP", 17},
	{"IPPROTO_IPV6", 41}, {"IPPROTO_RAW", 255}, {"INADDR_ANY", 0}, {"SOL_SOCKET", 1},
	{"SOL_IP", 0}, {"SOL_TCP", 6}, {"SOL_UDP", 17}, {"SOL_IPV6", 41}, {"SO_DEBUG", 1},
	{"SO_REUSEADDR", 2}, {"SO_TYPE", 3}, {"SO_ERROR", 4}, {"SO_DONTROUTE", 5},
	{"SO_BROADCAST", 6}, {"SO_SNDBUF", 7}, {"SO_RCVBUF", 8}, {"SO_KEEPALIVE", 9},
	{"SO_OOBINLINE", 10}, {"SO_NO_CHECK", 11}, {"SO_PRIORITY", 12}, {"SO_LINGER", 13},
	{"SO_BSDCOMPAT", 14}, {"SO_REUSEPORT", 15}, {"SO_PASSCRED", 16}, {"SO_PEERCRED", 17},
	{"SO_RCVLOWAT", 18}, {"SO_SNDLOWAT", 19}, {"SO_RCVTIMEO", 20}, {"SO_SNDTIMEO", 21},
	{"SO_BINDTODEVICE", 25}, {"SO_ATTACH_FILTER", 26}, {"SO_DETACH_FILTER", 27},
	{"SO_PEERNAME", 28}, {"SO_TIMESTAMP", 29}, {"SO_ACCEPTCONN", 30}, {"SO_PEERSEC", 31},
	{"SO_SNDBUFFORCE", 32}, {"SO_RCVBUFFORCE", 33}, {"SO_MARK", 36},
	{"SO_TIMESTAMPING", 37}, {"SO_PROTOCOL", 38}, {"SO_DOMAIN", 39}, {"SO_BUSY_POLL", 46},
	{"SO_MAX_PACING_RATE", 47}, {"SO_INCOMING_CPU", 49}, {"SO_MEMINFO", 55},
	{"SO_ZEROCOPY", 60}, {"SO_TXTIME", 61}, {"SO_EE_ORIGIN_NONE", 0},
	{"SO_EE_ORIGIN_LOCAL", 1}, {"SO_EE_ORIGIN_ICMP", 2}, {"SO_EE_ORIGIN_ICMP6", 3},
	{"SO_EE_ORIGIN_TIMESTAMPING", 4}, {"SO_EE_ORIGIN_ZEROCOPY", 5},
	{"SO_EE_CODE_ZEROCOPY_COPIED", 1}, {"SOF_TIMESTAMPING_TX_HARDWARE", 1},
	{"SOF_TIMESTAMPING_TX_SOFTWARE", 2}, {"SOF_TIMESTAMPING_RX_HARDWARE", 4},
	{"SOF_TIMESTAMPING_RX_SOFTWARE", 8}, {"SOF_TIMESTAMPING_SOFTWARE", 16},
	{"SOF_TIMESTAMPING_SYS_HARDWARE", 32}, {"SOF_TIMESTAMPING_RAW_HARDWARE", 64},
	{"SOF_TIMESTAMPING_OPT_ID", 128}, {"SOF_TIMESTAMPING_TX_SCHED", 256},
	{"SOF_TIMESTAMPING_TX_ACK", 512}, {"SOF_TIMESTAMPING_OPT_CMSG", 1024},
	{"SOF_TIMESTAMPING_OPT_TSONLY", 2048}, {"SOF_TIMESTAMPING_OPT_STATS", 4096},
	{"SCM_TIMESTAMPING", 37}, {"SCM_TSTAMP_SND", 0}, {"SCM_TSTAMP_SCHED", 1},
	{"SCM_TSTAMP_ACK", 2}, {"SCM_TIMESTAMPING_OPT_STATS", 54}, {"TCP_NODELAY", 1},
	{"TCP_MAXSEG", 2}, {"TCP_CORK", 3}, {"TCP_KEEPIDLE", 4}, {"TCP_KEEPINTVL", 5},
	{"TCP_KEEPCNT", 6}, {"TCP_SYNCNT", 7}, {"TCP_LINGER2", 8}, {"TCP_DEFER_ACCEPT", 9},
	{"TCP_WINDOW_CLAMP", 10}, {"TCP_INFO", 11}, {"TCP_QUICKACK", 12},
	{"TCP_CONGESTION", 13}, {"TCP_MD5SIG", 14}, {"TCP_COOKIE_TRANSACTIONS", 15},
	{"TCP_THIN_LINEAR_TIMEOUTS", 16}, {"TCP_THIN_DUPACK", 17}, {"TCP_USER_TIMEOUT", 18},
	{"TCP_REPAIR", 19}, {"TCP_FASTOPEN", 23}, {"TCP_TIMESTAMP", 24},
	{"TCP_NOTSENT_LOWAT", 25}, {"TCP_CC_INFO", 26}, {"TCP_SAVE_SYN", 27},
	{"TCP_SAVED_SYN", 28}, {"TCP_FASTOPEN_CONNECT", 30}, {"TCP_FASTOPEN_KEY", 33},
	{"TCP_FASTOPEN_NO_COOKIE", 34}, {"TCP_ZEROCOPY_RECEIVE", 35}, {"TCP_INQ", 36},
	{"TCP_CM_INQ", 36}, {"TCP_TX_DELAY", 37}, {"TCP_CA_OPEN", 0}, {"TCP_CA_DISORDER", 1},
	{"TCP_CA_CWR", 2}, {"TCP_CA_RECOVERY", 3}, {"TCP_CA_LOSS", 4},
	{"TCP_INFINITE_SSTHRESH", 0x7fffffff}, {"IP_TOS", 1}, {"IP_TTL", 2},
	{"IP_HDRINCL", 3}, {"IP_OPTIONS", 4}, {"IP_RECVOPTS", 6}, {"IP_RETOPTS", 7},
	{"IP_PKTINFO", 8}, {"IP_MTU_DISCOVER", 10}, {"IP_RECVERR", 11}, {"IP_RECVTTL", 12},
	{"IP_RECVTOS", 13}, {"IP_MTU", 14}, {"IP_FREEBIND", 15}, {"IP_TRANSPARENT", 19},
	{"IP_MINTTL", 21}, {"IP_BIND_ADDRESS_NO_PORT", 24}, {"IP_MULTICAST_IF", 32},
	{"IP_MULTICAST_TTL", 33}, {"IP_MULTICAST_LOOP", 34}, {"IP_ADD_MEMBERSHIP", 35},
	{"IP_DROP_MEMBERSHIP", 36}, {"IP_PMTUDISC_DONT", 0}, {"IP_PMTUDISC_WANT", 1},
	{"IP_PMTUDISC_DO", 2}, {"IP_PMTUDISC_PROBE", 3}, {"IPV6_MTU_DISCOVER", 23},
	{"IPV6_MTU", 24}, {"IPV6_RECVERR", 25}, {"IPV6_V6ONLY", 26}, {"IPV6_HOPLIMIT", 52},
	{"IPV6_TCLASS", 67}, {"UDP_CORK", 1}, {"UDP_SEGMENT", 103}, {"UDP_GRO", 104}, {"MSG_OOB", 1}, {"MSG_PEEK", 2},
	{"MSG_DONTROUTE", 4}, {"MSG_CTRUNC", 8}, {"MSG_PROXY", 0x10}, {"MSG_TRUNC", 0x20},
	{"MSG_DONTWAIT", 0x40}, {"MSG_EOR", 0x80}, {"MSG_WAITALL", 0x100}, {"MSG_FIN", 0x200},
	{"MSG_SYN", 0x400}, {"MSG_CONFIRM", 0x800}, {"MSG_RST", 0x1000},
	{"MSG_ERRQUEUE", 0x2000}, {"MSG_NOSIGNAL", 0x4000}, {"MSG_MORE", 0x8000},
	{"MSG_WAITFORONE", 0x10000}, {"MSG_ZEROCOPY", 0x4000000},
	{"MSG_FASTOPEN", 0x20000000}, {"MSG_CMSG_CLOEXEC", 0x40000000}, {"O_RDONLY", 0},
	{"O_WRONLY", 1}, {"O_RDWR", 2}, {"O_ACCMODE", 3}, {"O_CREAT", 0x40}, {"O_EXCL", 0x80},
	{"O_NOCTTY", 0x100}, {"O_TRUNC", 0x200}, {"O_APPEND", 0x400}, {"O_NONBLOCK", 0x800},
	{"O_NDELAY", 0x800}, {"O_CLOEXEC", 0x80000}, {"F_DUPFD", 0}, {"F_GETFD", 1},
	{"F_SETFD", 2}, {"F_GETFL", 3}, {"F_SETFL", 4}, {"F_GETLK", 5}, {"F_SETLK", 6},
	{"F_SETLKW", 7}, {"F_SETOWN", 8}, {"F_GETOWN", 9}, {"F_SETSIG", 10}, {"F_GETSIG", 11},
	{"F_DUPFD_CLOEXEC", 1030}, {"FD_CLOEXEC", 1}, {"SHUT_RD", 0}, {"SHUT_WR", 1},
	{"SHUT_RDWR", 2}, {"SOMAXCONN", 4096}, {"FIONREAD", 0x541b}, {"SIOCINQ", 0x541b},
	{"TIOCINQ", 0x541b}, {"FIONBIO", 0x5421}, {"SIOCOUTQ", 0x5411}, {"TIOCOUTQ", 0x5411},
	{"SIOCOUTQNSD", 0x894b}, {"SIOCATMARK", 0x8905}, {"POLLIN", 1}, {"POLLPRI", 2},
	{"POLLOUT", 4}, {"POLLERR", 8}, {"POLLHUP", 0x10}, {"POLLNVAL", 0x20},
	{"POLLRDNORM", 0x40}, {"POLLRDBAND", 0x80}, {"POLLWRNORM", 0x100},
	{"POLLWRBAND", 0x200}, {"POLLMSG", 0x400}, {"POLLREMOVE", 0x1000},
	{"POLLRDHUP", 0x2000}, {"EPOLLIN", 1}, {"EPOLLPRI", 2}, {"EPOLLOUT", 4},
	{"EPOLLERR", 8}, {"EPOLLHUP", 0x10}, {"EPOLLNVAL", 0x20}, {"EPOLLRDNORM", 0x40},
	{"EPOLLRDBAND", 0x80}, {"EPOLLWRNORM", 0x100}, {"EPOLLWRBAND", 0x200},
	{"EPOLLMSG", 0x400}, {"EPOLLRDHUP", 0x2000}, {"EPOLLEXCLUSIVE", 1u<<28},
	{"EPOLLWAKEUP", 1u<<29}, {"EPOLLONESHOT", 1u<<30}, {"EPOLLET", 1u<<31},
	{"EPOLL_CTL_ADD", 1}, {"EPOLL_CTL_DEL", 2}, {"EPOLL_CTL_MOD", 3},
	{"EPOLL_CLOEXEC", 0x80000},
};

static const struct constant errors[] = {
	{"EPERM", 1}, {"ENOENT", 2}, {"ESRCH", 3}, {"EINTR", 4}, {"EIO", 5}, {"ENXIO", 6},
	{"E2BIG", 7}, {"ENOEXEC", 8}, {"EBADF", 9}, {"ECHILD", 10}, {"EAGAIN", 11},
	{"ENOMEM", 12}, {"EACCES", 13}, {"EFAULT", 14}, {"ENOTBLK", 15}, {"EBUSY", 16},
	{"EEXIST", 17}, {"EXDEV", 18}, {"ENODEV", 19}, {"ENOTDIR", 20}, {"EISDIR", 21},
	{"EINVAL", 22}, {"ENFILE", 23}, {"EMFILE", 24}, {"ENOTTY", 25}, {"ETXTBSY", 26},
	{"EFBIG", 27}, {"ENOSPC", 28}, {"ESPIPE", 29}, {"EROFS", 30}, {"EMLINK", 31},
	{"EPIPE", 32}, {"EDOM", 33}, {"ERANGE", 34}, {"EDEADLK", 35}, {"ENAMETOOLONG", 36},
	{"ENOLCK", 37}, {"ENOSYS", 38}, {"ENOTEMPTY", 39}, {"ELOOP", 40}, {"ENOMSG", 42},
	{"EIDRM", 43}, {"ECHRNG", 44}, {"ENOSTR", 60}, {"ENODATA", 61}, {"ETIME", 62},
	{"ENOSR", 63}, {"ENONET", 64}, {"ENOLINK", 67}, {"ECOMM", 70}, {"EPROTO", 71},
	{"EBADMSG", 74}, {"EOVERFLOW", 75}, {"ENOTUNIQ", 76}, {"EBADFD", 77}, {"EREMCHG", 78},
	{"EILSEQ", 84}, {"EUSERS", 87}, {"ENOTSOCK", 88}, {"EDESTADDRREQ", 89},
	{"EMSGSIZE", 90}, {"EPROTOTYPE", 91}, {"ENOPROTOOPT", 92}, {"EPROTONOSUPPORT", 93},
	{"ESOCKTNOSUPPORT", 94}, {"EOPNOTSUPP", 95}, {"EPFNOSUPPORT", 96},
	{"EAFNOSUPPORT", 97}, {"EADDRINUSE", 98}, {"EADDRNOTAVAIL", 99}, {"ENETDOWN", 100},
	{"ENETUNREACH", 101}, {"ENETRESET", 102}, {"ECONNABORTED", 103}, {"ECONNRESET", 104},
	{"ENOBUFS", 105}, {"EISCONN", 106}, {"ENOTCONN", 107}, {"ESHUTDOWN", 108},
	{"ETOOMANYREFS", 109}, {"ETIMEDOUT", 110}, {"ECONNREFUSED", 111}, {"EHOSTDOWN", 112},
	{"EHOSTUNREACH", 113}, {"EALREADY", 114}, {"EINPROGRESS", 115}, {"ESTALE", 116},
	{"ECANCELED", 125}, {"EWOULDBLOCK", 11}, {"EDEADLOCK", 35}, {"ENOTSUP", 95},
};
/* clang-format on */

static bool find(
	const struct constant *table, size_t n, const char *w, uint32_t bytes, int64_t *out)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].name[0] == w[0] && word_is(w, bytes, table[i].name)) {
			*out = table[i].value;
			return true;
		}
	return false;
}

bool drill_errno(const char *w, uint32_t n, int64_t *out)
{
	return n && find(errors, ARRAY_LEN(errors), w, n, out);
}

bool drill_constant(const char *w, uint32_t n, int64_t *out)
{
	return n && (find(constants, ARRAY_LEN(constants), w, n, out) || drill_errno(w, n, out));
}

const char *drill_errno_name(int error)
{
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if ((int64_t)errors[i].value == error)
			return errors[i].name;
	return NULL;
}
