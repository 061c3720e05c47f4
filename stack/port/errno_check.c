/* The core's error numbers are this system's: checked here, at compile time, so that results can go
 * into errno as they are. */
#include "tapglass.h"

#include <errno.h>

_Static_assert((int)TG_EPERM == EPERM, "TG_EPERM");
_Static_assert((int)TG_ESOCKTNOSUPPORT == ESOCKTNOSUPPORT, "TG_ESOCKTNOSUPPORT");
_Static_assert((int)TG_ENOENT == ENOENT, "TG_ENOENT");
_Static_assert((int)TG_ENOTTY == ENOTTY, "TG_ENOTTY");
_Static_assert((int)TG_EDOM == EDOM, "TG_EDOM");
_Static_assert((int)TG_EBADF == EBADF, "TG_EBADF");
_Static_assert((int)TG_EAGAIN == EAGAIN, "TG_EAGAIN");
_Static_assert((int)TG_ENOMEM == ENOMEM, "TG_ENOMEM");
_Static_assert((int)TG_EACCES == EACCES, "TG_EACCES");
_Static_assert((int)TG_EFAULT == EFAULT, "TG_EFAULT");
_Static_assert((int)TG_EBUSY == EBUSY, "TG_EBUSY");
_Static_assert((int)TG_EEXIST == EEXIST, "TG_EEXIST");
_Static_assert((int)TG_ENODEV == ENODEV, "TG_ENODEV");
_Static_assert((int)TG_EINVAL == EINVAL, "TG_EINVAL");
_Static_assert((int)TG_EMFILE == EMFILE, "TG_EMFILE");
_Static_assert((int)TG_EPIPE == EPIPE, "TG_EPIPE");
_Static_assert((int)TG_ENOTSOCK == ENOTSOCK, "TG_ENOTSOCK");
_Static_assert((int)TG_EDESTADDRREQ == EDESTADDRREQ, "TG_EDESTADDRREQ");
_Static_assert((int)TG_EMSGSIZE == EMSGSIZE, "TG_EMSGSIZE");
_Static_assert((int)TG_EPROTOTYPE == EPROTOTYPE, "TG_EPROTOTYPE");
_Static_assert((int)TG_ENOPROTOOPT == ENOPROTOOPT, "TG_ENOPROTOOPT");
_Static_assert((int)TG_EPROTONOSUPPORT == EPROTONOSUPPORT, "TG_EPROTONOSUPPORT");
_Static_assert((int)TG_EOPNOTSUPP == EOPNOTSUPP, "TG_EOPNOTSUPP");
_Static_assert((int)TG_EAFNOSUPPORT == EAFNOSUPPORT, "TG_EAFNOSUPPORT");
_Static_assert((int)TG_EADDRINUSE == EADDRINUSE, "TG_EADDRINUSE");
_Static_assert((int)TG_EADDRNOTAVAIL == EADDRNOTAVAIL, "TG_EADDRNOTAVAIL");
_Static_assert((int)TG_ENETDOWN == ENETDOWN, "TG_ENETDOWN");
_Static_assert((int)TG_ENETUNREACH == ENETUNREACH, "TG_ENETUNREACH");
_Static_assert((int)TG_ECONNABORTED == ECONNABORTED, "TG_ECONNABORTED");
_Static_assert((int)TG_ECONNRESET == ECONNRESET, "TG_ECONNRESET");
_Static_assert((int)TG_ENOBUFS == ENOBUFS, "TG_ENOBUFS");
_Static_assert((int)TG_EISCONN == EISCONN, "TG_EISCONN");
_Static_assert((int)TG_ENOTCONN == ENOTCONN, "TG_ENOTCONN");
_Static_assert((int)TG_ETIMEDOUT == ETIMEDOUT, "TG_ETIMEDOUT");
_Static_assert((int)TG_ECONNREFUSED == ECONNREFUSED, "TG_ECONNREFUSED");
_Static_assert((int)TG_EHOSTUNREACH == EHOSTUNREACH, "TG_EHOSTUNREACH");
_Static_assert((int)TG_EALREADY == EALREADY, "TG_EALREADY");
_Static_assert((int)TG_EINPROGRESS == EINPROGRESS, "TG_EINPROGRESS");
_Static_assert((int)TG_EPROTO == EPROTO, "TG_EPROTO");
