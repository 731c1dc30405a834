//! Fields of `dhcp`.

use super::{Base, Kind, field, value};

fields! {
    23, "dhcp", "DHCP/BOOTP", "Dynamic Host Configuration Protocol";
    TYPE = field("dhcp.type", "Message type", Kind::U8).names(&value::DHCP_TYPE);
    HW_TYPE = field("dhcp.hw.type", "Hardware type", Kind::U8).base(Base::Hex).names(&value::ARP_HW_TYPE);
    HW_LEN = field("dhcp.hw.len", "Hardware address length", Kind::U8);
    HOPS = field("dhcp.hops", "Hops", Kind::U8);
    ID = field("dhcp.id", "Transaction ID", Kind::U32).base(Base::Hex);
    SECS = field("dhcp.secs", "Seconds elapsed", Kind::U16);
    FLAGS = field("dhcp.flags", "Bootp flags", Kind::U16).base(Base::Hex);
    FLAGS_BC = field("dhcp.flags.bc", "Broadcast flag", Kind::Bool).width(16).mask(0x8000).words("Broadcast", "Unicast");
    FLAGS_RESERVED = field("dhcp.flags.reserved", "Reserved flags", Kind::U16).base(Base::Hex).mask(0x7fff);
    IP_CLIENT = field("dhcp.ip.client", "Client IP address", Kind::Ipv4);
    IP_YOUR = field("dhcp.ip.your", "Your (client) IP address", Kind::Ipv4);
    IP_SERVER = field("dhcp.ip.server", "Next server IP address", Kind::Ipv4);
    IP_RELAY = field("dhcp.ip.relay", "Relay agent IP address", Kind::Ipv4);
    HW_ADDR_PADDING = field("dhcp.hw.addr_padding", "Client hardware address padding", Kind::Bytes);
    HW_MAC_ADDR = field("dhcp.hw.mac_addr", "Client MAC address", Kind::Ether);
    SERVER = field("dhcp.server", "Server host name", Kind::Str);
    FILE = field("dhcp.file", "Boot file name", Kind::Str);
    COOKIE = field("dhcp.cookie", "Magic cookie", Kind::Ipv4);
    OPTION_TYPE = field("dhcp.option.type", "Option", Kind::U8);
    OPTION_LENGTH = field("dhcp.option.length", "Length", Kind::U8);
    OPTION_VALUE = field("dhcp.option.value", "Value", Kind::Bytes);
    OPTION_PADDING = field("dhcp.option.padding", "Padding", Kind::Bytes);
    OPTION_SUBNET_MASK = field("dhcp.option.subnet_mask", "Subnet Mask", Kind::Ipv4);
    OPTION_ROUTER = field("dhcp.option.router", "Router", Kind::Ipv4);
    OPTION_DOMAIN_NAME_SERVER = field("dhcp.option.domain_name_server", "Domain Name Server", Kind::Ipv4);
    OPTION_HOSTNAME = field("dhcp.option.hostname", "Host Name", Kind::Strz);
    OPTION_DOMAIN_NAME = field("dhcp.option.domain_name", "Domain Name", Kind::Strz);
    OPTION_BROADCAST_ADDRESS = field("dhcp.option.broadcast_address", "Broadcast Address", Kind::Ipv4);
    OPTION_NTP_SERVER = field("dhcp.option.ntp_server", "Network Time Protocol Server", Kind::Ipv4);
    OPTION_REQUESTED_IP_ADDRESS = field("dhcp.option.requested_ip_address", "Requested IP Address", Kind::Ipv4);
    OPTION_IP_ADDRESS_LEASE_TIME = field("dhcp.option.ip_address_lease_time", "IP Address Lease Time", Kind::U32);
    OPTION_DHCP = field("dhcp.option.dhcp", "DHCP", Kind::U8).names(&value::DHCP_OPTION_DHCP);
    OPTION_DHCP_SERVER_ID = field("dhcp.option.dhcp_server_id", "DHCP Server Identifier", Kind::Ipv4);
    OPTION_REQUEST_LIST_ITEM = field("dhcp.option.request_list_item", "Parameter Request List Item", Kind::U8);
    OPTION_DHCP_MAX_MESSAGE_SIZE = field("dhcp.option.dhcp_max_message_size", "Maximum DHCP Message Size", Kind::U16);
    OPTION_RENEWAL_TIME_VALUE = field("dhcp.option.renewal_time_value", "Renewal Time Value", Kind::U32);
    OPTION_REBINDING_TIME_VALUE = field("dhcp.option.rebinding_time_value", "Rebinding Time Value", Kind::U32);
    OPTION_VENDOR_CLASS_ID = field("dhcp.option.vendor_class_id", "Vendor class identifier", Kind::Strz);
    OPTION_END = field("dhcp.option.end", "Option End", Kind::U8);
}
