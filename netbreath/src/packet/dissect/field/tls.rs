//! Fields of `tls`.

use super::{Base, Kind, field, value};

fields! {
    21, "tls", "TLS", "Transport Layer Security";
    RECORD = field("tls.record", "Record Layer", Kind::None);
    RECORD_CONTENT_TYPE = field("tls.record.content_type", "Content Type", Kind::U8).names(&value::TLS_RECORD_CONTENT_TYPE);
    HANDSHAKE_TYPE = field("tls.handshake.type", "Handshake Message Type", Kind::U8).names(&value::TLS_HANDSHAKE_TYPE);
    RECORD_VERSION = field("tls.record.version", "Version", Kind::U16).base(Base::Hex).names(&value::TLS_RECORD_VERSION);
    RECORD_LENGTH = field("tls.record.length", "Length", Kind::U16);
    APP_DATA = field("tls.app_data", "Encrypted Application Data", Kind::Bytes);
    ALERT_MESSAGE = field("tls.alert_message", "Alert Message", Kind::None);
    ALERT_MESSAGE_LEVEL = field("tls.alert_message.level", "Level", Kind::U8).names(&value::TLS_ALERT_MESSAGE_LEVEL);
    ALERT_MESSAGE_DESC = field("tls.alert_message.desc", "Description", Kind::U8).names(&value::TLS_ALERT_MESSAGE_DESC);
    HANDSHAKE = field("tls.handshake", "Handshake Protocol", Kind::None);
    HANDSHAKE_LENGTH = field("tls.handshake.length", "Length", Kind::U24);
    HANDSHAKE_SESSION_ID_LENGTH = field("tls.handshake.session_id_length", "Session ID Length", Kind::U16);
    CHANGE_CIPHER_SPEC = field("tls.change_cipher_spec", "Change Cipher Spec Message", Kind::None);
    HANDSHAKE_EXTENSIONS_LENGTH = field("tls.handshake.extensions_length", "Extensions Length", Kind::U16);
    HANDSHAKE_EXTENSION_TYPE = field("tls.handshake.extension.type", "Type", Kind::U16).names(&value::TLS_HANDSHAKE_EXTENSION_TYPE);
    HANDSHAKE_EXTENSION_LEN = field("tls.handshake.extension.len", "Length", Kind::U16);
    HANDSHAKE_EXTENSIONS_ALPN_STR = field("tls.handshake.extensions_alpn_str", "ALPN Next Protocol", Kind::Str);
    HANDSHAKE_EXTENSIONS_SUPPORTED_VERSION = field("tls.handshake.extensions.supported_version", "Supported Version", Kind::U16).base(Base::Hex).names(&value::TLS_HANDSHAKE_EXTENSIONS_SUPPORTED_VERSION);
    HANDSHAKE_EXTENSIONS_SERVER_NAME = field("tls.handshake.extensions_server_name", "Server Name", Kind::Str);
    HANDSHAKE_RANDOM = field("tls.handshake.random", "Random", Kind::Bytes);
    HANDSHAKE_SESSION_ID = field("tls.handshake.session_id", "Session ID", Kind::Bytes);
    HANDSHAKE_VERSION = field("tls.handshake.version", "Version", Kind::U16).base(Base::Hex).names(&value::TLS_RECORD_VERSION);
    HANDSHAKE_CIPHER_SUITES_LENGTH = field("tls.handshake.cipher_suites_length", "Cipher Suites Length", Kind::U16);
    HANDSHAKE_CIPHERSUITE = field("tls.handshake.ciphersuite", "Cipher Suite", Kind::U16).base(Base::Hex).names(&value::TLS_HANDSHAKE_CIPHERSUITE);
}
