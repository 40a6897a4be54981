package io.egressproxy.settings;

import java.lang.reflect.Parameter;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.bind.Name;

/**
 * The shape of the {@code proxy.*} tree, read off the records that it is bound to, so that there is one list of keys
 * only.
 */
sealed interface SettingsSchema {
    /** Keys below it are those of a record, which is read when they are asked for: while the library is switched off, hardly any are. */
    final class ObjectNode implements SettingsSchema {
        private final Class<?> type;
        private volatile @Nullable Map<String, KnownKey> keys;

        private ObjectNode(Class<?> type) {
            this.type = type;
        }

        Class<?> type() {
            return type;
        }

        /** By their uniform spelling, in the order of the record. */
        Map<String, KnownKey> keys() {
            Map<String, KnownKey> read = keys;
            if (read == null) {
                read = keysOf(type);
                keys = read;
            }
            return read;
        }

        /** The key that a user's spelling means: {@code timeout_seconds}, {@code timeoutSeconds}; null if none. */
        @Nullable
        KnownKey key(String spelling) {
            return keys().get(uniform(alias(spelling)));
        }

        private String alias(String spelling) {
            boolean connections = keys().containsKey("http") && keys().containsKey("websocket");
            return switch (connections ? uniform(spelling) : "") {
                case "rest" -> "http"; // the names of the ancestor's first generation
                case "ws" -> "websocket";
                default -> spelling;
            };
        }
    }

    /** A key of an object. */
    record KnownKey(String name, SettingsSchema node) {}

    /** Keys below it are the user's own. */
    record MapNode(SettingsSchema value) implements SettingsSchema {}

    /** Has numbered elements. */
    record ListNode(SettingsSchema element) implements SettingsSchema {
        boolean isPool() {
            return element instanceof ObjectNode object && object.type() == PoolMember.class;
        }
    }

    /** Anything may stand below it. */
    record FreeNode() implements SettingsSchema {}

    /** A value. */
    record LeafNode() implements SettingsSchema {}

    /** The whole tree. One for all: several conditions ask for settings at each start, and reading it takes tens of milliseconds. */
    ObjectNode ROOT = new ObjectNode(ProxyProperties.class);

    private static SettingsSchema of(Type type) {
        if (type instanceof ParameterizedType generic) {
            Type last = generic.getActualTypeArguments()[generic.getActualTypeArguments().length - 1];
            if (generic.getRawType() == List.class) {
                return new ListNode(of(last));
            }
            return last == Object.class ? new FreeNode() : new MapNode(of(last));
        }
        return type instanceof Class<?> record && record.isRecord() ? new ObjectNode(record) : new LeafNode();
    }

    private static Map<String, KnownKey> keysOf(Class<?> record) {
        Map<String, KnownKey> keys = new LinkedHashMap<>();
        for (Parameter component : record.getDeclaredConstructors()[0].getParameters()) {
            Name name = component.getAnnotation(Name.class);
            String key = name != null ? name.value() : kebab(component.getName());
            keys.put(uniform(key), new KnownKey(key, of(component.getParameterizedType())));
        }
        return Collections.unmodifiableMap(keys);
    }

    private static String kebab(String camelCase) {
        return camelCase.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }

    /** The form in which two spellings of one key are equal, as Spring Boot's relaxed binding has it. */
    static String uniform(String key) {
        return key.replace("-", "").replace("_", "").toLowerCase(Locale.ROOT);
    }
}
