/**
 * The {@code proxy.*} tree as immutable, validated records, and how it is read from YAML, properties, the environment
 * and the older shapes and names. A value of {@link io.egressproxy.settings.ProxySettings} is always valid.
 */
@NullMarked
package io.egressproxy.settings;

import org.jspecify.annotations.NullMarked;
