// The icons of the page, drawn here so that none is loaded. They say nothing alone: each stands in a control that has a name.

import type { ComponentChildren } from "preact";
import type { Direction } from "../rows/sort";

function Icon({ children, size = 16 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const LogoIcon = () => (
  <Icon size={20}>
    <path d="M1.5 6.5q3.25-3 6.5 0t6.5 0M1.5 10.5q3.25-3 6.5 0t6.5 0" stroke-width="1.8" />
  </Icon>
);
export const MenuIcon = () => (
  <Icon>
    <path d="M2 4h12M2 8h12M2 12h12" />
  </Icon>
);
export const PlusIcon = () => (
  <Icon>
    <path d="M8 3v10M3 8h10" />
  </Icon>
);
export const SendIcon = () => (
  <Icon>
    <path d="M8 13V3M3.5 7.5 8 3l4.5 4.5" />
  </Icon>
);
export const StopIcon = () => (
  <Icon>
    <rect x="4" y="4" width="8" height="8" rx="1" fill="currentColor" />
  </Icon>
);
export const TrashIcon = () => (
  <Icon>
    <path d="M2.5 4h11M6 4V2.5h4V4M4 4l.6 9.5h6.8L12 4M6.6 6.5l.2 4.5M9.4 6.5l-.2 4.5" />
  </Icon>
);
export const CopyIcon = () => (
  <Icon>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5" />
  </Icon>
);
export const CheckIcon = () => (
  <Icon>
    <path d="m3 8.5 3.5 3.5L13 4.5" />
  </Icon>
);
export const WarningIcon = () => (
  <Icon>
    <path d="M8 2 14.5 13.5h-13zM8 6.5v3M8 11.5v.1" />
  </Icon>
);
export const InfoIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 7.5V11M8 5v.1" />
  </Icon>
);
export const ErrorIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6" />
    <path d="m6 6 4 4m0-4-4 4" />
  </Icon>
);
export const DownloadIcon = () => (
  <Icon>
    <path d="M8 2.5v8M4.5 7.5 8 11l3.5-3.5M3 13.5h10" />
  </Icon>
);
export const ChevronIcon = () => (
  <Icon>
    <path d="m6 3.5 4.5 4.5L6 12.5" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon>
    <path d="m4 4 8 8m0-8-8 8" />
  </Icon>
);
export const ThumbUpIcon = () => (
  <Icon>
    <path d="M5 7.5V13H2.5V7.5zM5 7.5 7.5 2.5c1.2 0 1.8.9 1.6 2L8.8 6.5h3.4c.9 0 1.5.8 1.3 1.7l-.9 3.6c-.2.7-.8 1.2-1.5 1.2H5" />
  </Icon>
);
export const ThumbDownIcon = () => (
  <Icon>
    <path d="M5 8.5V3H2.5v5.5zM5 8.5l2.5 5c1.2 0 1.8-.9 1.6-2l-.3-2h3.4c.9 0 1.5-.8 1.3-1.7l-.9-3.6C12.4 3.5 11.8 3 11.1 3H5" />
  </Icon>
);
export const SortIcon = ({ direction }: { direction: Direction | null }) => (
  <Icon size={12}>
    <path d="M5 6.5 8 3l3 3.5" opacity={direction === "descending" ? 0.25 : direction ? 1 : 0.45} />
    <path d="M5 9.5 8 13l3-3.5" opacity={direction === "ascending" ? 0.25 : direction ? 1 : 0.45} />
  </Icon>
);
