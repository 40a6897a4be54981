/**
 * A whole application on the starter: it reads two feeds of two exchanges, each through the proxy that {@code proxy.*}
 * gives it. Nothing in here names the proxy library; its work is visible only in what the targets see.
 */
@NullMarked
package io.egressproxy.sample;

import org.jspecify.annotations.NullMarked;
