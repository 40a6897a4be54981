/**
 * Proxies in the same JVM, SOCKS5 with credentials and HTTP CONNECT, that can be stopped and started. They alone know what the {@code *.test} names mean, so a client that resolves names itself, or goes around
 * the proxy, fails.
 */
@NullMarked
package io.egressproxy.sample.localproxy;

import org.jspecify.annotations.NullMarked;
