/**
 * What the library costs an application as a whole: through real proxies to a target in a JVM of its own, at the start, and at rest. Whatever is
 * compared takes turns, and the hard-coded client is measured twice, so that what one sees can be told from noise.
 */
package io.egressproxy.endtoend;
