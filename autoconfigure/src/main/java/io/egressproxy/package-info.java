/**
 * The words of the domain and the public API: what a proxy, a decision, a lease and an outcome are, and {@link
 * io.egressproxy.ProxyInjector}, which applies decisions to clients. Nothing here knows where settings come from or how
 * a tunnel is built.
 */
@NullMarked
package io.egressproxy;

import org.jspecify.annotations.NullMarked;
