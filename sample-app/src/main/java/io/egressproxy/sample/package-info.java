/**
 * A whole application on the starter: it reads two feeds of two exchanges, each through the proxy that {@code proxy.*}
 * gives it. Nothing that reads a feed names the proxy library; its work is visible in what the targets see, and on the page.
 */
@NullMarked
package io.egressproxy.sample;

import org.jspecify.annotations.NullMarked;
