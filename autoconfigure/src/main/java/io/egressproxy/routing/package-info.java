/**
 * The one place where it is decided what a connection does: which exchange a host belongs to, and which proxy, no proxy
 * or refusal follows from the settings. Everything else asks here and obeys.
 */
@NullMarked
package io.egressproxy.routing;

import org.jspecify.annotations.NullMarked;
