package io.egressproxy.autoconfigure.boot3;

import java.lang.reflect.Field;
import org.jspecify.annotations.Nullable;
import org.springframework.util.ReflectionUtils;

/**
 * What a builder of Spring's will connect with. The builders do not show it, but a customizer of the application's own may have
 * given them a transport that cannot be routed, and then nothing else would notice; so this looks into them, and finds nothing
 * where they are built otherwise.
 */
final class BuilderTransport {
    private BuilderTransport() {}

    /**
     * The transport of a builder.
     *
     * @param builder the builder
     * @param field the field that holds it in Spring's own implementation
     * @return the transport, or null if none is set or it cannot be seen
     */
    static @Nullable Object of(Object builder, String field) {
        Field found = ReflectionUtils.findField(builder.getClass(), field);
        if (found == null) {
            return null;
        }
        try {
            ReflectionUtils.makeAccessible(found);
            return ReflectionUtils.getField(found, builder);
        } catch (RuntimeException hidden) { // by modules or by a native image
            return null;
        }
    }
}
